"""Stage `probe`: test what models understand, with CheckList's kinds of probes.

This room imports `core`, `ingest`, `models`, `texts`, `tokenize`, `predict` and `score`.
"""
