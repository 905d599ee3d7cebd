"""Stage `teach`: a trained reader answers questions, for another one to learn from its answers.

This room imports the shared rooms, `answer` and `questions`, and the rooms of the stages tokenize,
predict, postprocess and score.
"""
