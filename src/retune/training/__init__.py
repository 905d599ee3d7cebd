"""One training for all tasks: joint batches, checkpoints, processes, curves and costs.

This room imports `core` and `models`.
"""
