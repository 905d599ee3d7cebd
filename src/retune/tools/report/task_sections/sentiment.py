"""The report on sentiment: which gaps are noise, and which probes the models pass."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from retune.stats.seed_spread import Variant, warnings
from retune.tools.report.content import Block, Cell, Column, Remark, Section, Spread, Table, section
from retune.tools.report.results import Metrics, heading
from retune.tools.report.sources import Reader

CLAIMED = (
    *("variants", "seed_noise", "sentence_noise"),  # compare.json
    *("kinds", "capabilities", "runs", "confusion"),  # the confusion is a figure
)
_VERDICTS = {
    "above": "more than seed noise",
    "below": "below seed noise",
    "unknown": "seed noise is unknown",
}
#: Lists of pass rates in a metrics file, and the key that names their rows.
_GROUPS = {"kinds": "kind", "capabilities": "capability"}
_N3 = "notebook_n3"
_MOST = 15  # probes that are listed
_POINTS = Column("points", "score")
_OF_PAIRS = ("better", "worse", "mean", "low", "high", "adjusted", "detectable", "verdict")


def add(reader: Reader, found: Sequence[Metrics]) -> list[Section]:
    """Return the sections on comparisons and probes."""
    comparisons: list[Block] = []
    probes: dict[str, Any] = {}
    for output, value in found:
        name = PurePosixPath(output.path).name
        if name == "compare.json":
            made = reader.shaped(output.path, lambda: [*_comparisons(value["sentiment"])])  # noqa: B023
            comparisons += made or []
        elif name == "probes.json":
            task = reader.shaped(output.path, lambda: _checked(value["sentiment"]))  # noqa: B023
            probes |= {" ".join(output.variant.values()): task} if task else {}
    told = [*_probes(probes)] if probes else []
    return [*section("Paired comparisons", comparisons), *section("Probes", told)]


def _comparisons(compared: Mapping[str, Any]) -> Iterator[Block]:
    variants = [_variant(row) for row in compared["variants"]]
    scores = {key: heading(key) for variant in variants for key in variant.values}
    columns = (Column("score"), Column("better", "code"), Column("worse", "code"), _POINTS)
    yield Table(
        "Noise of seeds: differences paired by seed, with the 95 % t interval",
        (*columns, Column("seeds"), Column("verdict")),
        tuple(
            (heading(row["key"]), row["better"], row["worse"],
             Spread(row["mean"], row["half_width"]), row["seeds"], _VERDICTS[row["verdict"]])
            for row in compared["seed_noise"]
        ),
    )  # fmt: skip
    headline = dict([*scores.items()][:1])
    for sentence in warnings(variants, headline):
        yield Remark(sentence)
    yield Table(
        "Noise of sentences: accuracy compared sentence by sentence, averaged over seeds "
        "(p adjusted for all pairs)",
        (*columns[1:], Column("low", "score"), Column("high", "score"), Column("p", "number"),
         Column("smallest detectable", "score"), Column("verdict")),
        tuple(tuple(row[key] for key in _OF_PAIRS) for row in compared["sentence_noise"]),
    )  # fmt: skip


def _variant(row: Mapping[str, Any]) -> Variant:
    values = {
        score["score"]: {run["seed"]: run["value"] for run in score["by_seed"]}
        for score in row["scores"]
    }
    return Variant(row["name"], row["name"], values)


def _checked(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `task` after reading every key that is needed, so that a KeyError comes early."""
    _failures(task)
    for key, name in _GROUPS.items():
        for row in task[key]:
            _ = row[name], row["total"], row["mean"], row["half_width"], row["one_answer"]
    return task


def _probes(probes: Mapping[str, Any]) -> Iterator[Block]:
    for key, name in _GROUPS.items():
        yield _rates(key, name, probes)
    yield Remark(
        "MFT: a sentence has a label. INV: a change means nothing. DIR: a change moves the "
        "sentiment (Ribeiro et al. 2020). A model shows understanding only by passing more than "
        "the baseline, which gives every sentence the same label."
    )
    failed = {name: _failures(value) for name, value in probes.items()}
    runs = {name: len(value["runs"]) for name, value in probes.items()}
    if any(row["capability"] == _N3 for value in probes.values() for row in value["capabilities"]):
        yield _of_n3(failed, runs)
    yield _most_failed(failed, runs)


def _rates(key: str, name: str, told: Mapping[str, Any]) -> Table:
    """Return pass rates by kind or capability, with columns for variants and the baseline."""
    groups = {row[name]: row for value in told.values() for row in value[key]}
    rates = {
        (variant, row[name]): Spread(row["mean"], row["half_width"])
        for variant, value in told.items()
        for row in value[key]
    }
    rows = tuple(
        (group, row["total"], *(rates.get((variant, group)) for variant in told), row["one_answer"])
        for group, row in groups.items()
    )
    shown = [*told, "baseline"]
    columns = [Column(name), Column("probes", "count"), *(Column(v, "score") for v in shown)]
    return Table(f"Probes passed, in percent, by {name}", tuple(columns), rows)


def _failures(value: Mapping[str, Any]) -> Counter[tuple[str, ...]]:
    """Count the runs that fail each probe."""
    return Counter(_probe(failure) for run in value["runs"] for failure in run["failures"])


def _probe(failure: Mapping[str, Any]) -> tuple[str, ...]:
    keys = ("capability", "kind", "sentence", "changed", "expected")
    return tuple(str(failure.get(key, "")) for key in keys)


def _of_n3(failed: Mapping[str, Counter[tuple[str, ...]]], runs: Mapping[str, int]) -> Table:
    from retune.tasks.sentiment.probe.probes import NOTEBOOK_N3

    rows = []
    for probe in NOTEBOOK_N3:
        key = (_N3, probe.kind, probe.sentence, probe.changed, probe.expected)
        passed: list[Cell] = [f"{runs[v] - failed[v][key]} of {runs[v]}" for v in failed]
        rows.append((probe.sentence, probe.changed, _expected(probe.expected), *passed))
    columns = [Column("sentence"), Column("changed to"), Column("expected"), *map(Column, failed)]
    return Table("Notebook N3's sentences: seeds that pass", tuple(columns), tuple(rows))


def _most_failed(failed: Mapping[str, Counter[tuple[str, ...]]], runs: Mapping[str, int]) -> Table:
    total: Counter[tuple[str, ...]] = sum(failed.values(), Counter())
    worst = sorted(total, key=lambda probe: (-total[probe], probe))[:_MOST]
    rows = tuple(
        (sentence, changed, _expected(expected), capability,
         f"{total[capability, kind, sentence, changed, expected]} of {sum(runs.values())}")
        for capability, kind, sentence, changed, expected in worst
    )  # fmt: skip
    names = ("sentence", "changed to", "expected", "capability", "runs that fail")
    return Table("Probes that most runs fail", tuple(map(Column, names)), rows)


def _expected(expected: str) -> str:
    return {"0": "negative", "1": "positive", "same": "the same"}.get(expected, expected)
