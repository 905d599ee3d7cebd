"""`retune why`: what a stage would run again for.

`contents` sums files and folders of the workspace as DVC does, `history` finds a sum among git's
commits, `settings` compares params, `reasons` brings it all together for each stage of a graph,
and `command` prints it.
"""
