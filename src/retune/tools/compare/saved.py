"""A comparison in a file, as `retune compare --json` prints it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retune.stats.paired import Difference, Mean
from retune.tools.compare.clustering import counted
from retune.tools.compare.systems import DECISIVE, SCORES

#: A comparison, and one system in it.
Saved = Mapping[str, Any]


def means(system: Saved) -> dict[str, Mean]:
    """Return the mean of each score of a system, with its interval."""
    return {score: Mean(**system["scores"][score]) for score in SCORES}


def pairs(saved: Saved) -> list[Difference]:
    """Return the differences in F1, the better systems first."""
    names = Difference.__dataclass_fields__
    rows = (row for row in saved["pairs"] if row["score"] == DECISIVE)
    return [Difference(**{name: row[name] for name in names}) for row in rows]


def summary(saved: Saved, quote: str = "") -> Iterator[str]:
    """Yield what was drawn, which systems are not separable, and what this test could show.

    Args:
        saved: the comparison.
        quote: what names of systems are put in.
    """
    found, label = pairs(saved), SCORES[DECISIVE]
    yield (
        f"{saved['questions']:,} test questions in {counted(saved['clusters'], saved['cluster'])}, "
        f"{_runs(saved)}. Intervals are 95 % (bootstrap), p-values are for all {len(found)} pairs "
        "together (sign flips, Holm); ranks with ties are those that the test leaves open."
    )
    ties = _ties(found, quote)
    yield f"Not separable by {label}: {'; '.join(ties) or 'none'}."
    shown = [pair for pair in found if pair.detectable is not None]
    if shown:
        least, most = (f(shown, key=lambda pair: pair.detectable) for f in (min, max))
        yield (
            f"The smallest difference that this test shows in four cases of five is "
            f"{least.detectable:.1f} points of {label} for {_pair(least, quote)}, and "
            f"{most.detectable:.1f} for {_pair(most, quote)}."
        )


def _ties(found: Sequence[Difference], quote: str) -> list[str]:
    """Return the systems that are not separable from each system with a lower mean."""
    ties: dict[str, list[str]] = {}
    for pair in found:
        if pair.verdict == "not separable":
            ties.setdefault(pair.one, []).append(f"{quote}{pair.other}{quote}")
    return [f"{quote}{one}{quote} from {', '.join(others)}" for one, others in ties.items()]


def _pair(pair: Difference, quote: str) -> str:
    return f"{quote}{pair.one}{quote} and {quote}{pair.other}{quote}"


def _runs(saved: Saved) -> str:
    """Return the number of runs of each system in words."""
    counts = {len(system["runs"]) for system in saved["systems"]}
    if counts == {1}:
        return "one run each"
    return f"means over {' to '.join(map(str, sorted({min(counts), max(counts)})))} runs"
