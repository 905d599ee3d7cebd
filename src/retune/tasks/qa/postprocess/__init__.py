"""Stage `postprocess`: from logits to an answer and n-best list for each question.

This room imports `core`, `questions` and `windows`.
"""
