"""Stage `perturb`: whether the answer stays when question or passage change a little.

This room imports `core`, `stats`, `answer`, and the rooms of the stages postprocess, score and
analyse.
"""
