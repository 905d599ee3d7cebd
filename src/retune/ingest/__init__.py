"""Data files to checked rows: sources, text, tables, findings, splits, limits.

This room imports `core` and `fetch`.
"""
