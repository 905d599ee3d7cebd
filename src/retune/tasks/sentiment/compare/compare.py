"""Stage `compare`: variants side by side, and which differences are noise.

Two sources of noise are measured. Another seed gives another model, so the differences between two
variants, paired by seed, have a t interval (`retune.stats.seed_spread`). Other sentences give other
scores, so accuracies are compared sentence by sentence (`retune.stats.paired`): the answers of all
seeds to a sentence count once, and each sentence is a cluster of its own, because the data do not
say which sentences are about one thing.
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
from retune.stats.paired import Comparison, Difference, Draws
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


class Place(NamedTuple):
    """The interval of a variant's accuracy over texts, and the ranks that it may have."""

    accuracy_low: float | None
    accuracy_high: float | None
    first_rank: int
    last_rank: int

    @classmethod
    def of(cls, name: str, compared: Comparison) -> "Place":
        """Return the place of a variant in the comparison."""
        return cls(compared.means[name].low, compared.means[name].high, *compared.ranks[name])


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
    compared = by_sentence(runs, gold, params)
    variants = [_variant(name, gold, runs[name]) for name in compared.means]
    spent = {name: Costs.read(seed_folders(costs / name, seeds)) for name in names}
    found = gaps(variants, SCORES)
    places = {name: Place.of(name, compared) for name in names}
    written = {
        # Plain numbers, which `dvc exp show` shows; it leaves out lists.
        "accuracy": {variant.name: variant.mean("accuracy") for variant in variants},
        "variants": [_row(v, spent[v.name], places[v.name]) for v in variants],
        "seed_noise": [{**vars(gap), "verdict": gap.verdict} for gap in found],
        "sentence_noise": [_test_row(each, seeds) for each in compared.differences],
    }
    write_json(table, {"sentiment": written})
    write_csv(csv, *_flat(variants, spent, places))
    _print(variants, spent, found, compared)
    best = variants[0]
    return f"{best.name} is first, with accuracy {_mean_text(best, 'accuracy')}"


def by_sentence(runs: Mapping[str, Runs], gold: Gold, params: ScoreParams) -> Comparison:
    """Compare the accuracy of variants, in percent, on the same texts."""
    right = {
        name: 100.0 * np.array([answers(each) == gold.labels for each in by_seed.values()])
        for name, by_seed in runs.items()
    }
    draws = Draws(params.resamples, params.resampling_seed)
    return paired.compare(right, Clusters.named(gold.ids), draws)


def _variant(name: str, gold: Gold, runs: Runs) -> Variant:
    figures = {
        seed: Confusion.of(gold.labels, answers(positive)).figures()
        for seed, positive in runs.items()
    }
    return Variant(name, name, {key: {s: f[key] for s, f in figures.items()} for key in SCORES})


def _row(variant: Variant, costs: Costs, place: Place) -> dict[str, Any]:
    scores = [spread_row(key, values) for key, values in variant.values.items()]
    return {"name": variant.name, "scores": scores, **costs._asdict(), **place._asdict()}


def _test_row(found: Difference, seeds: Sequence[int]) -> dict[str, Any]:
    """The lead of one variant over another, in points of accuracy."""
    return {
        "better": found.one,
        "worse": found.other,
        "seeds": len(seeds),
        "mean": found.value,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "adjusted": found.adjusted,
        "detectable": found.detectable,
        "sentences_needed": found.clusters_needed,
        "verdict": found.verdict,
    }


def _flat(
    variants: Sequence[Variant], spent: Mapping[str, Costs], places: Mapping[str, Place]
) -> tuple[list[str], list[list[Any]]]:
    """Heading and rows of the table in CSV."""
    kinds = ("mean", "std", "half_width")
    heading = ["variant", "seeds", *(f"{key}_{k}" for key in SCORES for k in kinds)]
    rows = []
    for variant in variants:
        spreads = (spread_row(key, variant.values[key]) for key in SCORES)
        figures = [row[kind] for row in spreads for kind in kinds]
        name = variant.name
        rows.append([name, len(variant.seeds), *figures, *spent[name], *places[name]])
    return [*heading, *Costs._fields, *Place._fields], rows


def _print(
    variants: Sequence[Variant],
    spent: Mapping[str, Costs],
    found: Sequence[Gap],
    compared: Comparison,
) -> None:
    """The table within 80 columns, and a sentence for each pair and each doubt."""
    rows = []
    for variant in variants:
        costs = spent[variant.name]
        size = [costs.parameters / 1e6, costs.model_bytes / 1e6, costs.train_seconds]
        scores = [_mean_text(variant, key) for key in SCORES]
        rows.append([variant.name, *scores, *(f"{value:,.1f}" for value in size)])
    print_table(["variant"], [*SCORES.values(), "M weights", "MB", "s"], rows)
    by_names = {
        frozenset((gap.better, gap.worse)): interval_text(gap.mean, gap.half_width)
        for gap in found
        if gap.key == "accuracy"
    }
    for each in compared.differences:
        over = "" if each.low is None else f", {each.low:+.2f} to {each.high:+.2f} over sentences"
        _say(
            f"{each.one} over {each.other}: accuracy "
            f"{by_names[frozenset((each.one, each.other))]} over seeds{over} "
            f"(p = {each.adjusted:.3g} for all pairs): {each.verdict}"
        )
    for warning in warnings(variants, SCORES):
        _say(f"warning: {warning}")


def _say(sentence: str) -> None:
    print(textwrap.fill(sentence, 80, subsequent_indent="  "))


def _mean_text(variant: Variant, score: str) -> str:
    values = list(variant.values[score].values())
    return interval_text(variant.mean(score), interval_half_width(values))
