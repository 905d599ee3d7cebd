"""Code of every stage: params, errors, files, manifests, and what runs around a stage's `main`.

This room imports no other room.
"""
