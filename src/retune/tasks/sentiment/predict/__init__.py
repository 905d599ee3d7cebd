"""Stage `predict`: the logits of each validation text.

This room imports `core`, `models`, `processes` and `texts`.
"""
