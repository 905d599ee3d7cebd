"""Files from a folder, a URL or the hub: bounded transfers, each checked by its SHA-256.

This room imports `core`.
"""
