"""A comparison in a file, as `retune compare --json` prints it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from retune.stats.paired import Difference, Mean
from retune.tools.compare.clustering import NAMES, counted
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
    groups = NAMES[saved["cluster"]][1]
    made, tested = f"bootstrap over {groups}", f"sign flips of {groups}"
    if saved.get("draws"):
        made, tested = f"t, with the variance over draws and {groups}", "two crossed factors"
    yield (
        f"Drawn: {saved['questions']:,} questions in "
        f"{counted(saved['clusters'], saved['cluster'])}; {_runs(saved)}. Intervals: {made}. A "
        f"rank such as 2-4 is what the comparison of all {len(found)} pairs leaves open "
        f"({tested}, Holm)."
    )
    same = ((pair.one, pair.other) for pair in found if pair.verdict == "not separable")
    yield f"Not separable by {label}: {ties(same, quote)}."
    shown = [(pair.detectable, _pair(pair, quote)) for pair in found if pair.detectable is not None]
    if shown:
        (least, closest), (most, other) = min(shown), max(shown)
        yield (
            f"The smallest difference that this test shows in four cases of five is {least:.1f} "
            f"points of {label} for {closest}, and {most:.1f} for {other}."
        )


def ties(pairs: Iterable[tuple[str, str]], quote: str = "") -> str:
    """Return pairs that are not separable as text, each system with all that come after it."""
    found: dict[str, list[str]] = {}
    for one, other in pairs:
        found.setdefault(one, []).append(f"{quote}{other}{quote}")
    told = [f"{quote}{one}{quote} from {', '.join(others)}" for one, others in found.items()]
    return "; ".join(told) or "none"


def _pair(pair: Difference, quote: str) -> str:
    return f"{quote}{pair.one}{quote} and {quote}{pair.other}{quote}"


def _runs(saved: Saved) -> str:
    """Return the number of runs of each system in words."""
    counts = {len(system["runs"]) for system in saved["systems"]}
    if counts == {1}:
        return "one run of each system"
    number = " to ".join(map(str, sorted({min(counts), max(counts)})))
    return f"scores are means over {number} runs"
