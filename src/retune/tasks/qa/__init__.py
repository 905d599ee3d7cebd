"""Extractive question answering, a room for each stage of the graph.

Each room says which others it imports. `questions` and `windows` hold the data that they share.
"""
