"""`retune doctor --env`: examine this machine and the project, and list problems.

This room imports `core`, `models`, `tables`, `training` and `tools/project`.
"""
