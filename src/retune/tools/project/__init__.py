"""The DVC project around the current folder, and git and DVC as commands.

This room imports `core`.
"""
