"""`retune try`: a search with a fixed budget, a ledger, and one look at the test questions.

This room imports `core`, `stats`, `tables`, `tools/compare`, `tools/experiments`, `tools/project`
and rooms of question answering.
"""
