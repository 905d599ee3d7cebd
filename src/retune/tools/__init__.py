"""Code that no stage imports: the command line, and tools that compare, check and show runs.

These rooms may import every room.
"""
