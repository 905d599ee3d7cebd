"""The ledger as Markdown tables, for `docs/claims.md`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from retune.tools.claims.ledger import (
    Bench,
    Claim,
    MeasuredOnce,
    Published,
    Reproduced,
    Setting,
    load,
)

Kind = TypeVar("Kind")


def ledger(root: Path) -> str:
    """Return all claims, with one table for each kind."""
    kinds = {
        "Reproduced by the pipeline": reproduced,
        "Measured by a benchmark": benches,
        "Measured once, by hand": once,
        "Published elsewhere, not re-run here": published,
        "Settings of the code": settings,
    }
    return "\n\n".join(f"## {title}\n\n{table(root)}" for title, table in kinds.items())


def reproduced(root: Path) -> str:
    """Return the claims on DVC's stages: values, tolerances, hashes, places."""
    rows = []
    for name, claim in _of(root, Reproduced):
        values = "<br>".join(
            f"{key.replace('#', ' ')}: {_number(value)}{_within(claim, key)}"
            for key, value in claim.values.items()
        )
        again = "trained again" if claim.retrain else "-"
        hashes = f"`{claim.params}` | `{claim.data[:12]}`"
        rows.append(f"| `{name}` | {claim.what} | {values} | {hashes} | {again} | {_places(claim)}")
    heads = ["claim", "what", "values", "params", "data", "`verify --claims`", "stated in"]
    return _table(heads, rows)


def benches(root: Path) -> str:
    """Return the claims on benchmarks: the command and the file."""
    rows = [
        f"| `{name}` | {claim.what} | `{claim.command}` | {', '.join(claim.sources)} "
        f"| {_places(claim)}"
        for name, claim in _of(root, Bench)
    ]
    return _table(["claim", "what", "command", "figures", "stated in"], rows)


def once(root: Path) -> str:
    """Return the claims on measurements by hand."""
    rows = [
        f"| `{name}` | {claim.what} | {claim.command} | {claim.data} | {claim.date}; "
        f"{claim.machine} | {_places(claim)}"
        for name, claim in _of(root, MeasuredOnce)
    ]
    return _table(["claim", "what", "how", "data", "when and where", "stated in"], rows)


def published(root: Path) -> str:
    """Return the claims on published numbers."""
    rows = [
        f"| `{name}` | {claim.what} | {claim.source}, {claim.data} "
        f"| {', '.join(f'{key} {_number(value)}' for key, value in claim.values.items())} "
        f"| {_places(claim)}"
        for name, claim in _of(root, Published)
    ]
    return _table(["claim", "what", "published in", "values", "stated in"], rows)


def settings(root: Path) -> str:
    """Return the claims on constants of the code."""
    rows = [
        f"| `{name}` | {claim.what} "
        f"| {', '.join(f'`{key}` {_number(value)}' for key, value in claim.values.items())} "
        f"| {_places(claim)}"
        for name, claim in _of(root, Setting)
    ]
    return _table(["claim", "what", "constant", "stated in"], rows)


def _of(root: Path, kind: type[Kind]) -> list[tuple[str, Kind]]:
    return [(name, claim) for name, claim in load(root).items() if isinstance(claim, kind)]


def _within(claim: Reproduced, key: str) -> str:
    allowed = claim.tolerance.get(last_word(key))
    return "" if allowed is None else f" ± {allowed:g}"


def last_word(key: str) -> str:
    """Return a value's name without its place: exact_match for metrics/qa.json#qa/exact_match."""
    return key.replace("/", ".").rpartition(".")[2]


def _number(value: float) -> str:
    whole = value == int(value) and abs(value) > 100
    return f"{value:,.0f}" if whole else f"{value:,.2f}"


def _places(claim: Claim) -> str:
    return ", ".join(dict.fromkeys(place.file for place in claim.stated)) + " |"


def _table(heads: list[str], rows: Iterable[str]) -> str:
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows])
