"""Data sets by name: a module each, with `Params` and `sources(params)`.

`sources` gives the verified local files of the splits `train` and `validation`. The download stage
does everything else (reading, checks, limits).
"""
