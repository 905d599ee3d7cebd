"""The command `retune`: its options, help and errors.

A command is a function with `@command`; typer makes its options from the parameters and its help
from the docstring. This room may import every room.
"""
