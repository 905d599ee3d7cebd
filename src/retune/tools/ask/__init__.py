"""`retune ask`: a trained model and texts of your own, a module for each task.

This room may import every room.
"""
