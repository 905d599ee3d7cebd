"""Windows of tokens and what is on disk about them: features and places of characters.

This room imports `core` and `questions`.
"""
