"""Questions with their contexts and gold answers, in the one form that all stages read.

This room imports `core`.
"""
