"""Experiments: presets, grids of values, sweeps, and tables of what came of them.

This room imports `core`, `stats`, `preflight` and `tools.project`.
"""
