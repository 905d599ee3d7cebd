"""Measurements in turn, their ratios, and how they are printed and saved."""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).resolve().parent / "results"

#: One side of a comparison: does its work once and returns its rate, in units a second.
Side = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of some rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of `values`."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        """Format the spread: `12.3 (11.9-12.8)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}-{self.high:,.{digits}f})"


@dataclass
class Comparison:
    """Rates of several sides, round by round, the first side against each other one."""

    title: str
    unit: str
    rates: dict[str, list[float]]
    goals: Mapping[str, float] = field(default_factory=dict)  # least ratio to a side, where asked

    @property
    def first(self) -> str:
        """The side that is compared with the others."""
        return next(iter(self.rates))

    def ratio(self, other: str) -> Spread:
        """How many times faster the first side is than `other`, round by round."""
        pairs = zip(self.rates[self.first], self.rates[other], strict=True)
        return Spread.of([ours / theirs for ours, theirs in pairs])

    def rows(self) -> list[dict[str, Any]]:
        """A row a side: its rate, and the first side's ratio to it."""
        rows = []
        for name, rates in self.rates.items():
            row: dict[str, Any] = {"side": name, "unit": self.unit, "rate": vars(Spread.of(rates))}
            if name != self.first:
                row["ratio"] = vars(self.ratio(name))
                row["goal"] = self.goals.get(name)
            rows.append(row)
        return rows


def alternate(
    title: str,
    unit: str,
    sides: Mapping[str, Side],
    rounds: int,
    goals: Mapping[str, float] | None = None,
) -> Comparison:
    """Run every side once to warm up, then all of them in turn, `rounds` times."""
    for name, side in sides.items():
        print(f"{title}: warm-up of {name}", file=sys.stderr)
        side()
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(1, rounds + 1):
        for name, side in sides.items():
            rates[name].append(side())
            print(
                f"{title}: round {number}/{rounds}, {name}: {rates[name][-1]:,.1f} {unit}",
                file=sys.stderr,
            )
    return Comparison(title, unit, rates, goals or {})


def plain_parser(module: str, description: str, example: str) -> argparse.ArgumentParser:
    """Return the command line of a script with no option but `--help`."""
    return argparse.ArgumentParser(
        prog=f"python -m bench.{module}",
        description=description,
        epilog=f"Example: python -m bench.{module} {example}".rstrip(),
        allow_abbrev=False,
    )


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return the command line with the options of every script that measures in rounds."""
    made = plain_parser(module, description, "--rounds 5 --save")
    made.add_argument("--rounds", type=int, default=3, help="measured rounds (default: 3)")
    made.add_argument("--json", action="store_true", help="print the figures as JSON")
    made.add_argument("--save", action="store_true", help="save them to bench/results/")
    return made


def report(
    name: str, comparisons: Sequence[Comparison], options: argparse.Namespace, **extra: Any
) -> None:
    """Print the figures as a table or as JSON, and save them if `--save` was given."""
    figures: dict[str, Any] = {
        "machine": machine(),
        "rounds": options.rounds,
        "comparisons": [
            {"title": comparison.title, "rows": comparison.rows()} for comparison in comparisons
        ],
        **extra,
    }
    text = json.dumps(figures, indent=2) + "\n"
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    if options.json:
        print(text, end="")
        return
    console = Console(width=None if sys.stdout.isatty() else 80)
    for comparison in comparisons:
        console.print(_table(comparison))


def machine() -> str:
    """Return the processor, its vector instructions, and the number of usable cores."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    known = torch.cpu.get_capabilities()
    names = ("avx2", "avx_vnni", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    sets = [key for key in names if known.get(key)]
    return f"{cores} cores of {name} ({', '.join(sets)})"


def _table(comparison: Comparison) -> Table:
    table = Table(title=comparison.title, title_justify="left", box=None, pad_edge=False)
    table.add_column("side")
    for heading in (comparison.unit, "ratio", "goal"):
        table.add_column(heading, justify="right")
    for row in comparison.rows():
        rate, ratio = Spread(**row["rate"]), row.get("ratio")
        goal = row.get("goal")
        table.add_row(
            row["side"],
            rate.text(1),
            Spread(**ratio).text() if ratio else "",
            f">= {goal:g}" if goal else "",
        )
    return table
