"""Sections of the report for one task, which names its module in `task.py` (`Task.report`).

A module has `add(reader, found)`, which returns sections, and `CLAIMED`, the names of plots and of
lists in the metrics that these sections show, so that the general sections leave them out.
"""
