"""`retune few-shot`: the score of trainings on a thousand questions, drawn several times.

This room imports `core`, `stats`, `tables`, `tools/compare`, `tools/experiments`, `tools/project`
and rooms of question answering.
"""
