"""What a comparison shows, in words and for programs."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from retune.stats.paired import Difference, Draws
from retune.stats.permutation import mcnemar_p_value
from retune.tools.compare.clustering import NAMES, counted
from retune.tools.compare.saved import summary
from retune.tools.compare.systems import DECISIVE, SCORES, Result, System

#: Exit codes of `--against`; 2 is for a comparison that could not run.
EXIT_CODES = {"better": 0, "worse": 1, "not separable": 3}

_FEW = 3  # with no more systems than these, each pair has a sentence


def sentences(result: Result) -> Iterator[str]:
    """Yield what the comparison shows, in a sentence for each pair if these are few."""
    if len(result.systems) > _FEW:
        yield from summary(as_json(result))
        yield "Systems are paired by draw and by question." if result.draws else _seeds(result)
        return
    pairs = result.scores[DECISIVE].differences
    for pair in pairs:
        yield _sentence(result, pair)
    adjusted = f", adjusted for {len(pairs)} pairs (Holm)" if len(pairs) > 1 else ""
    if result.draws:
        yield f"{_paired_by_draw(result)}{adjusted}."
        return
    yield (
        f"Drawn: {len(result.questions):,} questions in "
        f"{counted(len(result.clusters), result.by)}. Intervals: bootstrap, p: sign flips of "
        f"{NAMES[result.by][1]} ({Draws().count:,} draws each){adjusted}. {_seeds(result)}"
    )


def _paired_by_draw(result: Result) -> str:
    """Return what was drawn, and how intervals were made, for draws of training questions."""
    return (
        f"Drawn: {result.draws} sets of training questions, each with its seed, and "
        f"{len(result.questions):,} test questions in {counted(len(result.clusters), result.by)}. "
        f"Systems are paired by draw and by question. Intervals and p: t, with the variance over "
        f"draws and over {NAMES[result.by][1]} (two crossed factors)"
    )


def against(result: Result, base: str) -> Difference:
    """Return the difference of the only other system to the base."""
    (pair,) = result.scores[DECISIVE].differences
    return pair if pair.other == base else reversed_pair(pair)


def reversed_pair(pair: Difference) -> Difference:
    """Return the same difference, seen from the other system."""
    return replace(
        pair,
        value=-pair.value,
        low=None if pair.high is None else -pair.high,
        high=None if pair.low is None else -pair.low,
        one=pair.other,
        other=pair.one,
        won=pair.lost,
        lost=pair.won,
    )


def verdict_line(pair: Difference, looks: int | None) -> str:
    """Return the verdict in the form that programs read."""
    ends = "-" if pair.low is None else f"[{pair.low:.1f}, {pair.high:.1f}]"
    counted_looks = "" if looks is None else f" looks={looks}"
    verdict = pair.verdict.replace(" ", "-")
    figures = f"{DECISIVE} {pair.value:+.1f} {ends} p={pair.adjusted:.3g}"
    return f"VERDICT {verdict} {figures}{counted_looks}"


def as_json(result: Result) -> dict[str, Any]:
    """Return everything for other programs; scores are in percent."""
    return {
        "cluster": result.by,
        "clusters": len(result.clusters),
        "questions": len(result.questions),
        **({"draws": result.draws} if result.draws else {}),
        "systems": [
            {
                "name": name,
                "runs": [*_runs(system)],
                "costs": dict(system.costs),
                "rank": list(result.scores[DECISIVE].ranks[name]),
                "scores": {s: vars(c.means[name]) for s, c in result.scores.items()},
            }
            for name, system in result.systems.items()
        ],
        "pairs": [
            vars(pair)
            | {"score": score, "verdict": pair.verdict}
            | (_mcnemar(pair) if score == "exact_match" else {})
            for score in SCORES
            for pair in result.scores[score].differences
        ],
    }


def _runs(system: System) -> Iterator[dict[str, float | None]]:
    for seed, run in zip(system.seeds, system.runs, strict=True):
        sums = {s: math.fsum(float(getattr(question, s)) for question in run) for s in SCORES}
        yield {"seed": seed} | {s: 100.0 * total / len(run) for s, total in sums.items()}


def _mcnemar(pair: Difference) -> dict[str, float]:
    return {"mcnemar_p_value": mcnemar_p_value(pair.won, pair.lost)}


def _sentence(result: Result, pair: Difference) -> str:
    figures = f"F1 {pair.value:+.2f}, p = {pair.adjusted:.2g}"
    if pair.verdict == "better":
        return f"{pair.one} is better than {pair.other} ({figures})."
    sentence = f"{pair.one} and {pair.other} are not separable ({figures})."
    if pair.detectable is None:
        return f"{sentence} One {NAMES[result.by][0]} alone shows no difference."
    sentence += f" This test shows a difference of {pair.detectable:.1f} in four cases of five"
    if pair.clusters_needed is None:
        return f"{sentence}."
    return f"{sentence}; for this one it would need {counted(pair.clusters_needed, result.by)}."


def _seeds(result: Result) -> str:
    least = min(len(system.runs) for system in result.systems.values())
    if least == 1:
        return "Other seeds of a training may give other results: a system here has one run."
    return f"Scores are means over the runs of each system ({least} or more)."
