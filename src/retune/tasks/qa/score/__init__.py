"""Stage `score`: exact match and F1 by the definitions of SQuAD 1.1 and 2.0.

This room imports `core` and `questions`.
"""
