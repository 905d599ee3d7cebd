"""Small trained parts inside a frozen encoder, and bundles that store them without it.

This room imports `core` and `models`.
"""
