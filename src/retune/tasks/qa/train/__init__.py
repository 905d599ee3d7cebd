"""Stage `train`: fits one variant and keeps its best epoch.

This room imports the shared rooms, and `predict`, `postprocess` and `score` to evaluate epochs.
"""
