"""What no stage imports: the command line, and all that compares, checks and shows runs.

These rooms may import every room.
"""
