"""Data sets by name: a module each, with `Params`, `sources(params)` and `layout(params)`.

`sources` gives the verified local files of the splits `train` and `validation`, `layout` says
how to read them. The download stage does everything else (checks, limits).
"""
