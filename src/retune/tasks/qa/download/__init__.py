"""Stage `download`: data files of many forms to checked questions.

This room imports `core`, `fetch`, `ingest` and `questions`.
"""
