"""Stage `perplexity`: how likely a model finds texts, in windows.

This room imports `core`, `models`, `texts`, `outputs` and `generate`.
"""
