"""Stage `train`: fits the next token of blocks of text and keeps the best epoch.

This room imports the shared rooms and `texts`.
"""
