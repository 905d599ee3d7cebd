"""Windows of tokens, and their features on disk with character offsets.

This room imports `core` and `questions`.
"""
