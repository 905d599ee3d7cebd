"""Files from a folder, a URL or the hub, each verified by its SHA-256.

This room imports `core`.
"""
