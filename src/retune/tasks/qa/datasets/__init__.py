"""Data sets by name: a module each, with `Params` and `sources(params)`.

`sources` gives the verified local files of the splits `train` and `validation`;
everything else (reading, checking, limits) is the download stage's.
"""
