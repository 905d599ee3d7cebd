"""`retune curve`: what more training questions would bring.

This room imports `core`, `stats`, `tables`, `tools/compare`, `tools/experiments`, `tools/project`
and rooms of question answering.
"""
