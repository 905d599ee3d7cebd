"""Stage `score`: ROUGE and repetition of continuations.

This room imports `core` and `outputs`.
"""
