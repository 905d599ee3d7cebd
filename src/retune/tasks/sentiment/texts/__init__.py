"""Labelled texts, their features and the logits of models, as they are on disk.

This room imports `core`.
"""
