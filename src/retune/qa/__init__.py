"""Extractive question answering: a module is a stage is a section of params.yaml."""
