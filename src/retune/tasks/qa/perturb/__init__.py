"""Stage `perturb`: whether the answer stays when question or passage change a little.

This room imports `core`, `models`, `stats`, and the rooms of the stages tokenize, predict,
postprocess, score and analyse.
"""
