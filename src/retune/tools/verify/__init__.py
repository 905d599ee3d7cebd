"""`retune verify`: the pipeline again in a clean clone, compared with what is committed.

`clones` makes the clone and runs DVC in it; `compare` tells two runs apart; `claimed` does
the same for single claims; `command` is what the user meets.
"""
