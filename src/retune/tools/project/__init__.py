"""The DVC project around the current folder: its graphs and locks, and git and DVC as commands.

This room imports `core` and `tasks`.
"""
