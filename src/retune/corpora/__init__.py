"""Corpora written for this project, released under CC0 1.0 (see the LICENSE beside each)."""
