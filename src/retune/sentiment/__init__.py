"""Sentiment of sentences: the second task of the project, on the same foundations."""
