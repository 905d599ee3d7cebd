"""Stage `generate`: continuations by greedy search, beams or sampling.

This room imports `core`, `models`, `texts` and `outputs`.
"""
