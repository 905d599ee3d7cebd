"""Stage `probe`: what models understand, by CheckList's kinds of probes.

This room imports `core`, `ingest`, `models`, `texts`, `tokenize`, `predict` and `score`.
"""
