"""Stage `synthesize`: questions made by rules from passages that have none, to pretrain on.

This room imports `core`, `ingest`, and the rooms `questions` and `analyse`.
"""
