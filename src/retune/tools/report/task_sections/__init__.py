"""What only one pipeline's task has to show: a module each, named like the pipeline's folder.

A module has `add(reader, found)`, which gives sections, and `CLAIMED`, the names of files and of
lists in the metrics that it shows itself, so that they are not shown as those of any pipeline.
"""
