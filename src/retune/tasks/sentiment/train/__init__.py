"""Stage `train`: fits one model and keeps its best epoch.

This room imports the shared rooms, `texts`, and `predict` to evaluate epochs.
"""
