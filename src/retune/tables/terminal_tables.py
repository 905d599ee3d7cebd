"""Tables and sentences in the width of the terminal."""

import sys
import textwrap
from collections.abc import Sequence

from retune.core.terminal_text import escaped


def print_wrapped(text: str) -> None:
    """Print a sentence within 80 columns."""
    print(textwrap.fill(text, 80, subsequent_indent="  ", break_long_words=False))


def print_table(
    texts: Sequence[str], figures: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print `rows` under the headings, `texts` to the left and then `figures` to the right.

    The table is as wide as the terminal, or at most 80 columns without one. Long texts are wrapped;
    figures are not.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in texts:
        table.add_column(heading, overflow="fold")
    for heading in figures:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escaped, row))
    console = Console(width=None if sys.stdout.isatty() else 80, markup=False, highlight=False)
    console.print(table)


def duration(seconds: float) -> str:
    """Return a time in words, in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:,.0f} seconds"
    return f"{seconds / 60:,.0f} minutes" if seconds < 7200 else f"{seconds / 3600:,.1f} hours"
