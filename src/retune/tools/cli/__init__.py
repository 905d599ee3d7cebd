"""The command `retune`: its arguments and help.

This room may import every room.
"""
