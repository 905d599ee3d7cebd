"""The output of `retune compare`."""

import json
import sys
from argparse import Namespace
from pathlib import Path

from retune.core.errors import RetuneError
from retune.core.terminal_text import escaped, escaped_json
from retune.tables.terminal_tables import print_wrapped
from retune.tools.claims.looks import looks
from retune.tools.compare.flips import flips
from retune.tools.compare.sources import Sources
from retune.tools.compare.systems import DECISIVE, Result, compared
from retune.tools.compare.tables import (
    Table,
    answers_table,
    as_csv,
    costs_table,
    flips_tables,
    narrow_tables,
    pairs_table,
    systems_table,
)
from retune.tools.compare.verdicts import EXIT_CODES, against, as_json, sentences, verdict_line


def run(arguments: Namespace) -> int:
    """Compare systems and print the result.

    Returns:
        0, or the exit code of the verdict with `--against`.

    Raises:
        RetuneError: a system cannot be read, or they cannot be compared.
    """
    names, base = list(arguments.systems), arguments.against
    if base is not None:
        if len(names) != 1:
            raise RetuneError("--against compares one system with a base; name exactly one")
        names.append(base)
    sources = Sources(arguments)
    systems = [sources.read(name) for name in names]
    result = compared(systems, arguments.cluster)
    _print(result, arguments)
    if base is None:
        return 0
    pair = against(result, systems[-1].name)
    counted = len(looks(Path())) if sources.tested else None
    line = verdict_line(pair, counted)
    print(line, file=sys.stderr if arguments.format in ("json", "csv") else sys.stdout)
    return EXIT_CODES[pair.verdict]


def _print(result: Result, arguments: Namespace) -> None:
    match arguments.format:
        case "json":
            value = as_json(result)
            if arguments.flips:
                value["flips"] = [
                    {"one": pair.one, "other": pair.other, **flip._asdict()}
                    for pair in result.scores[DECISIVE].differences
                    for flip in flips(result, pair)
                ]
            print(escaped_json(json.dumps(value, indent=2, ensure_ascii=False)))
        case "csv":
            print(as_csv(_tables(result, arguments)), end="")
        case "markdown":
            parts = [table.markdown() for table in _tables(result, arguments)]
            print("\n\n".join([*parts, *(escaped(text) for text in sentences(result))]))
        case _:
            for table in _tables(result, arguments, narrow=True):
                table.print()
                print()
            for text in sentences(result):
                print_wrapped(escaped(text))


def _tables(result: Result, arguments: Namespace, *, narrow: bool = False) -> list[Table]:
    pairs = narrow_tables(result) if narrow else [pairs_table(result), answers_table(result)]
    tables = [systems_table(result), *pairs]
    if costs := costs_table(result):
        tables.append(costs)
    if arguments.flips:
        for pair in result.scores[DECISIVE].differences:
            tables += flips_tables(flips(result, pair), pair)
    return tables
