"""Stage `predict`: from windows to start and end logits, padded or packed.

This room imports `core`, `models`, `adapters`, `processes` and `windows`.
"""
