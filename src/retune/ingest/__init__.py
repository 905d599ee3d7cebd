"""From data files to checked rows: text, tables, findings, splits, limits.

This room imports `core` and `fetch`.
"""
