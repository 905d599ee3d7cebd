"""Pretrained encoders and tokenizers, loaded and checked, and the layers that tasks share.

This room imports `core`.
"""
