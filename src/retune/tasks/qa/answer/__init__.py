"""Answers to questions that are no split of the data set.

This room imports `core`, `models`, `processes`, and the rooms of tokenize, predict and postprocess.
"""
