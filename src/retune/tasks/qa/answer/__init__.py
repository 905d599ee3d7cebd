"""Answers of a trained model to any questions, for the stages perturb and teach.

This room imports `models`, `processes`, `questions`, and the rooms of the stages tokenize, predict,
postprocess and score.
"""
