"""Texts, blocks of tokens and prompts, as stages read them.

This room imports `core` and `models`.
"""
