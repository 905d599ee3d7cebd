"""Stage `analyse`: where the reader fails.

It reads stored answers; no model runs.
"""
