"""Stage `score`: one variant's accuracy and calibration over all seeds.

This room imports `core`, `stats` and `texts`.
"""
