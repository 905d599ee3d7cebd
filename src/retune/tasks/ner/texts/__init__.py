"""Sentences with entity tags from CoNLL files, and their words as a model reads them.

This room imports `core` and `models`.
"""
