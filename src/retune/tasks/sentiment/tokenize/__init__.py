"""Stage `tokenize`: texts to token ids, with what was cut counted.

This room imports `core`, `models` and `texts`; params choose a module of `vocabularies`.
"""
