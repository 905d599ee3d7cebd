"""Stage `augment`: make more training texts from the existing ones.

This room imports `core`, `ingest` and `texts`; params choose a module of `augmenting`.
"""
