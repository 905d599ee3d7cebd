"""One training for all tasks: joint batches, checkpoints, curves and costs.

This room imports `core`, `models` and `processes`.
"""
