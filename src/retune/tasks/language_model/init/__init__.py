"""Stage `start`: the model before its training.

This room imports `core`, `models` and `training`, for its seed.
"""
