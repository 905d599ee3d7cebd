"""Stage `teach`: a trained reader answers questions, for another one to learn from its answers.

This room imports the shared rooms, and `answer`, `questions`, `postprocess` and `score`.
"""
