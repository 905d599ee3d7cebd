"""Figures of metrics files, and tables of them for the terminal.

This room imports `core`.
"""
