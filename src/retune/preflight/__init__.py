"""All settings of a graph checked before any of its stages runs.

This room imports `core`, and the stage scripts that it lets read their params.
"""
