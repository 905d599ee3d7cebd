"""Stage `download`: data files to checked, labelled texts.

This room imports `core`, `fetch`, `ingest` and `texts`.
"""
