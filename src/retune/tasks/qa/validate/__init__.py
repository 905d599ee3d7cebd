"""Stage `validate`: the score on the split that chooses the epoch.

This room imports `core`, and the rooms of the stages predict, postprocess and score.
"""
