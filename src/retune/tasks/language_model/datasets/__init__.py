"""Data sets by name: a module each, with `Params`, `sources(params)` and `field(params)`.

`sources` gives the verified local files of the splits `train` and `validation`, `field` the name
of the text in their rows. The download stage does everything else (checks, limits).
"""
