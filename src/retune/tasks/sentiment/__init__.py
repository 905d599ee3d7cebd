"""Sentiment of sentences, a room for each stage of the graph.

Rooms of later stages import those of earlier ones; `texts` holds the data that they share.
"""
