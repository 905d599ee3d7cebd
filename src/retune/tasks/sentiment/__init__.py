"""Sentiment of sentences, a room for each stage of the graph.

Each room says which others it imports. `texts` holds the data that they share.
"""
