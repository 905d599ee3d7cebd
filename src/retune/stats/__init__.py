"""What is noise: the spread over seeds, and the bootstrap over items.

This room imports `core`.
"""
