"""Stage `augment`: more training texts, made from those there are.

This room imports `core`, `ingest` and `texts`; params choose a module of `augmenting`.
"""
