"""Extractive question answering, a room for each stage of the graph.

Rooms of later stages import those of earlier ones; `questions` and `windows` are their data.
"""
