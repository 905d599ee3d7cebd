"""Language models that continue texts, a room for each stage of the graph.

Rooms of later stages import those of earlier ones; `texts` and `outputs` hold shared data.
"""
