"""`retune verify`: run the pipeline in a clean clone and compare it with the committed results.

`clones` makes the clone and runs DVC in it. `compare` compares two runs, `claimed` checks single
claims, `changes` compares two commits, and `command` is the command line.
"""
