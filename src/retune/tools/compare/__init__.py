"""`retune score` and `retune compare`: official figures, and differences that are not noise.

This room imports `core`, `stats`, `ingest`, `tables`, `tools/project` and rooms of question
answering.
"""
