"""Stage `tokenize`: questions to windows, and the audit of what windows lose.

This room imports `core`, `models`, `windows` and `score`, whose EM and F1 the ceiling uses.
"""
