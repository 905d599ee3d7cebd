"""Experiments that differ by their seed alone, folded to variants; a table of their spread."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from retune.core.errors import RetuneError
from retune.stats.seed_spread import Variant, digits, gaps, spread, warnings
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tools.experiments.experiments import SEED
from retune.tools.experiments.table import APART, COLUMNS

#: Figures of a run that have a spread; of these, the scores are compared between variants.
SPREAD = ("qa.exact_match", "qa.f1", "qa.train_windows_per_second")
SCORES = SPREAD[:2]
MODEL = "qa.model"
HEADINGS = {key: heading for heading, key, *_ in COLUMNS}
#: Of the scores.
SCORE_HEADINGS = {key: HEADINGS[key] for key in SCORES}
MOST = 10  # warnings that are printed


def fold(
    shown: Sequence[Mapping[str, Any]],
    params: Sequence[str],
    *,
    seed_param: str = SEED,
    label: str = MODEL,
    figures: Sequence[str] = SPREAD,
) -> list[Variant]:
    """Put the runs together that differ by seed alone; best mean F1 first.

    Args:
        shown: experiments as DVC shows them, with metrics and params in columns.
        params: dotted names of all parameters.
        seed_param: the one of them that is the seed.
        label: the column with the model's name.
        figures: the columns that have a spread.

    Raises:
        RetuneError: two runs are the same but for their names.
    """
    groups: dict[tuple[str, ...], dict[int, Mapping[str, Any]]] = {}
    for row in shown:
        settings = (str(row.get(key)) for key in params if key != seed_param)
        runs = groups.setdefault((str(row.get("data", "")), *settings), {})
        seed = int(row[seed_param])
        if seed in runs:
            raise RetuneError(
                f"experiments {runs[seed]['Experiment']} and {row['Experiment']} are the same, "
                f"with seed {seed}: one run must not count twice; name only one of them"
            )
        runs[seed] = row
    variants = [_variant(runs, label, figures) for runs in groups.values()]
    return sorted(variants, key=lambda v: -v.mean("qa.f1") if "qa.f1" in v.values else math.inf)


def _variant(runs: Mapping[int, Mapping[str, Any]], label: str, figures: Sequence[str]) -> Variant:
    values: dict[str, dict[int, float]] = {}
    for seed, row in sorted(runs.items()):
        for key in figures:
            if row.get(key) is not None:
                values.setdefault(key, {})[seed] = row[key]
    names = sorted(_stem(row["Experiment"], seed) for seed, row in runs.items())
    one = next(iter(runs.values()))
    return Variant(min(names, key=len), str(one[label]), values, str(one.get("data", "")))


def _stem(name: str, seed: int) -> str:
    """The name without its seed, unless that is all of it."""
    parts = [part for part in name.split("-") if part != f"seed={seed}"]
    return "-".join(parts) or "seeds"


def report(
    variants: Sequence[Variant],
    asked: int | None = None,
    *,
    headings: Mapping[str, str] = HEADINGS,
    scores: Mapping[str, str] = SCORE_HEADINGS,
) -> None:
    """Print the spread of each figure as a table, and what it says of the gaps.

    Args:
        variants: from `fold`.
        asked: how many seeds there should be of each.
        headings: of all figures.
        scores: headings of those that are compared.
    """
    figures = ["seeds", "mean", "std", "min", "max"]
    groups = list(dict.fromkeys(variant.data for variant in variants))
    for data in groups:
        if len(groups) > 1:
            print_wrapped(data)
        group = [variant for variant in variants if variant.data == data]
        print_table(["variant", "metric"], figures, _table_rows(group, asked, headings))
    if len(groups) > 1:
        print_wrapped(APART)
    sentences = warnings(variants, scores)
    if len(sentences) > MOST:
        sentences[MOST:] = [f"{len(sentences) - MOST} more such gaps; --json lists all of them"]
    for warning in sentences:
        print(textwrap.fill(f"warning: {warning}", 80, subsequent_indent="  "))


def as_json(
    variants: Sequence[Variant], *, label: str = MODEL, scores: Iterable[str] = SCORES
) -> dict[str, Any]:
    """Spread, figures by seed and gaps, for other programs; arguments as of `fold`."""
    return {
        "variants": [
            {
                "name": variant.name,
                label: variant.model,
                "data": variant.data,
                "seeds": variant.seeds,
                "metrics": {
                    key: spread(values) | {"by_seed": dict(values)}
                    for key, values in variant.values.items()
                },
            }
            for variant in variants
        ],
        "gaps": [vars(gap) | {"seed_noise": gap.verdict} for gap in gaps(variants, scores)],
    }


def _table_rows(
    variants: Sequence[Variant], asked: int | None, headings: Mapping[str, str]
) -> list[list[str]]:
    rows = []
    for variant in variants:
        for key, values in variant.values.items():
            count = f"{len(values)} of {asked}" if asked else str(len(values))
            numbers = spread(values).values()
            figures = ["-" if x is None else f"{x:.{digits(key)}f}" for x in numbers]
            rows.append([variant.name, headings[key], count, *figures])
    return rows
