"""Stage `tokenize`: texts to blocks of tokens, and the prompts of the evaluation.

This room imports `core`, `models`, `texts` and `outputs`.
"""
