"""Several processes that run one stage together: how they start, and the share of each.

This room imports `core`.
"""
