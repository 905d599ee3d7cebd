"""Data sets by name: a module each, with `Params`, `sources(params)` and `has_validation(params)`.

`sources` gives the verified local files of the splits `train`, `test` and, if the data set has one
of its own, `validation`. The download stage does everything else (reading, checks, limits, a
validation split out of train).
"""
