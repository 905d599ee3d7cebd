"""Adapters of a language, trained by masked language modelling (MAD-X).

The room imports the shared rooms, and reads questions and sentences of `qa` and `ner`.
"""
