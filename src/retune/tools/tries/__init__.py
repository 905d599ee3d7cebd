"""`retune try`: a search with a fixed budget, a ledger, and one look at the test questions.

This room imports `core`, `stats`, `tables`, `preflight`, rooms of question answering, and the tools
for claims, comparisons, experiments and projects.
"""
