"""Stage `compare`: variants side by side, and which differences are noise.

Two sources of noise are measured. Another seed gives another model, so the differences between two
variants, paired by seed, have a t interval (`retune.stats.seed_spread`). Other sentences give other
scores, so variants are compared sentence by sentence (`retune.stats.paired`), averaged over seeds.
"""

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retune.core.files import read_json, write_csv, write_json
from retune.core.numerics import Doubles
from retune.stats import paired
from retune.stats.clusters import Clusters
from retune.stats.paired import Comparison, Draws
from retune.stats.seed_spread import Gap, Variant, gaps, interval_half_width, warnings
from retune.tables.metrics_files import figures_of
from retune.tables.terminal_tables import print_table
from retune.tasks.sentiment.score.score import (
    SCORES,
    Confusion,
    ScoreParams,
    interval_text,
    spread_row,
)
from retune.tasks.sentiment.texts.predictions import (
    Gold,
    answers,
    read_gold,
    read_seeds,
    seed_folders,
)

Runs = Mapping[int, Doubles]  # by seed, P(positive) of every text


class Costs(NamedTuple):
    """What one run of a variant costs; seconds are the mean over the seeds."""

    parameters: int
    trained_parameters: int
    model_bytes: int
    train_seconds: float

    @classmethod
    def read(cls, folders: Mapping[int, Path]) -> "Costs":
        """Return the costs of the runs whose metrics are in `folders`."""
        costs = figures_of(read_json(next(iter(folders.values())) / "costs.json"))
        times = [figures_of(read_json(folder / "times.json")) for folder in folders.values()]
        return cls(
            costs["parameters"],
            costs["trained_parameters"],
            costs["model_bytes"],
            statistics.fmean(time["train_seconds"] for time in times),
        )


def compare(
    raw: Path,
    predictions: Path,
    costs: Path,
    table: Path,
    csv: Path,
    *,
    names: Sequence[str],
    seeds: list[int],
    params: ScoreParams,
) -> str:
    """Compare the variants `names`; write `table` (JSON) and `csv`.

    Of each variant and seed there are sealed predictions in `predictions`, and costs and times
    in `costs`.
    """
    gold = read_gold(raw)
    runs = {name: read_seeds(seed_folders(predictions / name, seeds), gold) for name in names}
    variants = [_variant(name, gold, runs[name]) for name in names]
    variants.sort(key=lambda variant: -variant.mean("accuracy"))
    spent = {name: Costs.read(seed_folders(costs / name, seeds)) for name in names}
    found = gaps(variants, SCORES)
    of_sentences, tests = over_sentences(runs, gold, params)
    written = {
        # Plain numbers, which `dvc exp show` shows; it leaves out lists.
        "accuracy": {variant.name: variant.mean("accuracy") for variant in variants},
        "variants": [
            _row(variant, spent[variant.name])
            | {"over_sentences": vars(of_sentences.means[variant.name])}
            | {"rank": of_sentences.ranks[variant.name]}
            for variant in variants
        ],
        "seed_noise": [{**vars(gap), "verdict": gap.verdict} for gap in found],
        "sentence_noise": tests,
    }
    write_json(table, {"sentiment": written})
    write_csv(csv, *_flat(variants, spent))
    _print(variants, spent, found, tests)
    best = variants[0]
    return f"{best.name} is first, with accuracy {_mean_text(best, 'accuracy')}"


def over_sentences(
    runs: Mapping[str, Runs], gold: Gold, params: ScoreParams
) -> tuple[Comparison, list[dict[str, Any]]]:
    """Compare the accuracy of variants text by text, in points, averaged over their seeds.

    Returns:
        The comparison, and a row for each pair, the better variant first.
    """
    right = {
        name: np.stack([np.where(answers(each) == gold.labels, 100.0, 0.0) for each in of.values()])
        for name, of in runs.items()
    }
    each_text = Clusters.named(range(len(gold.ids)))
    found = paired.compare(right, each_text, Draws(params.resamples, params.resampling_seed))
    kept = ("low", "high", "p_value", "adjusted", "detectable", "verdict")
    rows = [
        {"better": each.one, "worse": each.other, "mean": each.value}
        | {name: getattr(each, name) for name in kept}
        for each in found.differences
    ]
    return found, rows


def _variant(name: str, gold: Gold, runs: Runs) -> Variant:
    figures = {
        seed: Confusion.of(gold.labels, answers(positive)).figures()
        for seed, positive in runs.items()
    }
    return Variant(name, name, {key: {s: f[key] for s, f in figures.items()} for key in SCORES})


def _row(variant: Variant, costs: Costs) -> dict[str, Any]:
    scores = [spread_row(key, values) for key, values in variant.values.items()]
    return {"name": variant.name, "scores": scores, **costs._asdict()}


def _flat(
    variants: Sequence[Variant], spent: Mapping[str, Costs]
) -> tuple[list[str], list[list[Any]]]:
    """Heading and rows of the table in CSV."""
    kinds = ("mean", "std", "half_width")
    heading = ["variant", "seeds", *(f"{key}_{k}" for key in SCORES for k in kinds)]
    rows = []
    for variant in variants:
        spreads = (spread_row(key, variant.values[key]) for key in SCORES)
        figures = [row[kind] for row in spreads for kind in kinds]
        rows.append([variant.name, len(variant.seeds), *figures, *spent[variant.name]])
    return [*heading, *Costs._fields], rows


def _print(
    variants: Sequence[Variant],
    spent: Mapping[str, Costs],
    found: Sequence[Gap],
    tests: Sequence[Mapping[str, Any]],
) -> None:
    """The table within 80 columns, and a sentence for each pair and each doubt."""
    rows = []
    for variant in variants:
        costs = spent[variant.name]
        size = [costs.parameters / 1e6, costs.model_bytes / 1e6, costs.train_seconds]
        scores = [_mean_text(variant, key) for key in SCORES]
        rows.append([variant.name, *scores, *(f"{value:,.1f}" for value in size)])
    print_table(["variant"], [*SCORES.values(), "M weights", "MB", "s"], rows)
    by_names = {frozenset((gap.better, gap.worse)): gap for gap in found if gap.key == "accuracy"}
    for test in tests:
        better, worse = test["better"], test["worse"]
        gap = by_names[frozenset((better, worse))]
        seeds = interval_text(gap.mean, gap.half_width)
        interval = "" if test["low"] is None else f"{test['low']:+.2f} to {test['high']:+.2f} "
        _say(
            f"{better} over {worse}: accuracy +{seeds} over seeds, {interval}over sentences "
            f"(p = {test['adjusted']:.3g}): {test['verdict']}"
        )
    for warning in warnings(variants, SCORES):
        _say(f"warning: {warning}")


def _say(sentence: str) -> None:
    print(textwrap.fill(sentence, 80, subsequent_indent="  "))


def _mean_text(variant: Variant, score: str) -> str:
    values = list(variant.values[score].values())
    return interval_text(variant.mean(score), interval_half_width(values))
