"""Stage `compare`: variants side by side, with the noise of seeds and texts.

This room imports `core`, `stats`, `texts` and `score`.
"""
