"""Experiments that differ only by seed or fold: group them, print the spread of their figures."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from retune.core.errors import RetuneError
from retune.stats.seed_spread import FoldRun, RunKey, Variant, gaps, in_order, spread, warnings
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tasks.task import Figure, main_task
from retune.tools.experiments.experiments import DRAW, FEW_SHOT, FOLD, MODEL, RANKING
from retune.tools.experiments.table import APART

MOST = 10  # warnings that are printed

#: Figures by their key in rows of experiments.
Figures = Mapping[str, Figure]


def spread_figures() -> Figures:
    """Return the figures of the main pipeline that have a spread over seeds."""
    task = main_task()
    shown = [*task.compared, *([task.rate] if task.rate else [])]
    return {task.key(figure.name): figure for figure in shown}


def scores(figures: Figures) -> dict[str, str]:
    """Return the headings of the figures that variants are compared by."""
    return {key: figure.label for key, figure in figures.items() if figure.compared == "higher"}


def fold(
    shown: Sequence[Mapping[str, Any]],
    params: Sequence[str],
    *,
    seed_param: str,
    label: str = MODEL,
    figures: Figures | None = None,
) -> list[Variant]:
    """Group runs that differ only by seed or fold; return the variants, best first.

    Args:
        shown: name, validation data, params and figures of each experiment.
        params: dotted names of all parameters.
        seed_param: the one of them that is the seed.
        label: the column with the model's name.
        figures: the columns that have a spread; without any, those of the main pipeline.

    Raises:
        RetuneError: two runs are the same but for their names.
    """
    groups: dict[tuple[str, ...], dict[RunKey, Mapping[str, Any]]] = {}
    for row in shown:
        is_draw = bool(FEW_SHOT.fullmatch(str(row["name"])))
        protocol = str(row["name"]).rpartition("-")[0] if is_draw else ""
        varied = {seed_param, FOLD, *([DRAW] if is_draw else [])}
        settings = (str(row.get(key)) for key in params if key not in varied)
        fold, _, folds = str(row.get(FOLD) or "").partition("/")
        runs = groups.setdefault((str(row.get("data", "")), folds, protocol, *settings), {})
        seed = int(row[seed_param])
        run = FoldRun(seed, int(fold), int(folds)) if folds else seed
        if run in runs:
            raise RetuneError(
                f"experiments {runs[run]['name']} and {row['name']} are the same, "
                f"with seed {run}: one run must not count twice; name only one of them"
            )
        runs[run] = row
    keys = [*(figures or spread_figures())]
    variants = [_variant(runs, label, keys) for runs in groups.values()]
    return sorted(variants, key=lambda v: -v.mean(RANKING) if RANKING in v.values else math.inf)


def _variant(
    runs: Mapping[RunKey, Mapping[str, Any]], label: str, figures: Sequence[str]
) -> Variant:
    values: dict[str, dict[RunKey, float]] = {}
    for seed in in_order(runs):
        for key in figures:
            if runs[seed].get(key) is not None:
                values.setdefault(key, {})[seed] = runs[seed][key]
    names = sorted(_stem(row["name"], seed) for seed, row in runs.items())
    one = next(iter(runs.values()))
    return Variant(min(names, key=len), str(one[label]), values, str(one.get("data", "")))


def _stem(name: str, run: RunKey) -> str:
    """Return the name without seed and fold, or `seeds` if nothing else remains."""
    match run:
        case FoldRun(seed, fold, folds):
            left_out = {f"seed={seed}", f"draw={seed}", f"fold={fold}of{folds}"}
        case _:
            left_out = {f"seed={run}", f"draw={run}"}
    return "-".join(part for part in name.split("-") if part not in left_out) or "seeds"


def report(
    variants: Sequence[Variant], asked: int | None = None, *, figures: Figures | None = None
) -> None:
    """Print the spread of each figure as a table, and a warning for each gap that may be noise.

    Args:
        variants: from `fold`.
        asked: how many runs there should be of each.
        figures: as for `fold`.
    """
    shown = figures or spread_figures()
    heading = "runs" if any(variant.in_folds for variant in variants) else "seeds"
    columns = [heading, "mean", "std", "min", "max"]
    groups = list(dict.fromkeys(variant.data for variant in variants))
    for data in groups:
        if len(groups) > 1:
            print_wrapped(data)
        group = [variant for variant in variants if variant.data == data]
        print_table(["variant", "metric"], columns, _table_rows(group, asked, shown))
    if len(groups) > 1:
        print_wrapped(APART)
    digits = {key: figure.digits for key, figure in shown.items()}
    sentences = warnings(variants, scores(shown), digits)
    if len(sentences) > MOST:
        sentences[MOST:] = [f"{len(sentences) - MOST} more such gaps; --json lists all of them"]
    for warning in sentences:
        print(textwrap.fill(f"warning: {warning}", 80, subsequent_indent="  "))
    if len({variant.name for variant in variants if variant.in_folds}) > 1:
        print_wrapped(
            "The runs in folds share training questions, so their spread tests no gap; "
            "`retune compare` does."
        )


def as_json(
    variants: Sequence[Variant], *, label: str = MODEL, figures: Figures | None = None
) -> dict[str, Any]:
    """Return spread, figures by seed and gaps for other programs; arguments as of `fold`."""
    shown = figures or spread_figures()
    return {
        "variants": [
            {
                "name": variant.name,
                label: variant.model,
                "data": variant.data,
                "seeds": [*map(_in_json, variant.seeds)],
                "metrics": {
                    key: spread(values) | {"by_seed": {_in_json(k): v for k, v in values.items()}}
                    for key, values in variant.values.items()
                },
            }
            for variant in variants
        ],
        "gaps": [vars(gap) | {"seed_noise": gap.verdict} for gap in gaps(variants, scores(shown))],
    }


def _in_json(run: RunKey) -> int | str:
    return str(run) if isinstance(run, FoldRun) else run


def _table_rows(variants: Sequence[Variant], asked: int | None, shown: Figures) -> list[list[str]]:
    rows = []
    for variant in variants:
        for key, values in variant.values.items():
            figure = shown[key]
            count = f"{len(values)} of {asked}" if asked else str(len(values))
            numbers = spread(values).values()
            cells = ["-" if x is None else f"{x:.{figure.digits}f}" for x in numbers]
            rows.append([variant.name, figure.short or figure.label, count, *cells])
    return rows
