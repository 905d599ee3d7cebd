"""Stage `download`: data files to checked texts.

This room imports `core`, `fetch`, `ingest` and `texts`.
"""
