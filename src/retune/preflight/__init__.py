"""Check all settings of a graph before any of its stages runs.

This room imports `core`, and the stage scripts, whose signatures say what they read.
"""
