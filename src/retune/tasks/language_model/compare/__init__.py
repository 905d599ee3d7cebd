"""Stage `compare`: before and after training, and methods of search, side by side.

This room imports `core`, `stats`, `outputs` and `score`.
"""
