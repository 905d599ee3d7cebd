"""Language models that continue texts, a room for each stage of the graph.

Each room says which others it imports. `texts` and `outputs` hold the data that they share.
"""
