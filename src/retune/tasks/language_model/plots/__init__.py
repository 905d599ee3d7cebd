"""Stage `plots`: the probability of each token of a continuation.

This room imports `core`, `models`, `outputs`, `generate` and `perplexity`.
"""
