"""Stages `calibrate` and `confidence`: how far an answer can be trusted.

This room imports `core`, `stats`, and the rooms of the stages postprocess, score and validate.
"""
