"""Probes of a classifier, in the terms of CheckList (Ribeiro et al. 2020).

A minimum functionality test (MFT) has a sentence and its label. An invariance test (INV) has a
change that must not matter. A directional test (DIR) has a change that moves the sentiment up or
down, or flips it. A capability is the subject of a set of probes, such as negation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pydantic.dataclasses

from retune.core.params import STRICT, Fraction
from retune.tasks.sentiment.texts.examples import THRESHOLD

Kind = Literal["MFT", "INV", "DIR"]

#: P(positive) of each of the texts.
Probabilities = Callable[[Sequence[str]], Sequence[float]]


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class ProbeParams:
    """Section `sentiment.probe`.

    P(positive) may change by up to `tolerance` in an invariance test, even if the label changes,
    and move that far in the wrong direction in a directional test. `folder` has the files of the
    probes (`retune.tasks.sentiment.probe.probe_files`); the stage depends on it.
    """

    folder: str
    tolerance: Fraction


@dataclass(frozen=True, slots=True)
class Probe:
    """One test.

    `changed` is "" in an MFT; `expected` is `0` or `1` there, `same` in an INV, and `up`,
    `down` or `flip` in a DIR.
    """

    capability: str
    kind: Kind
    sentence: str
    changed: str
    expected: str

    def passes(self, before: float, after: float, tolerance: float) -> bool:
        """Whether P(positive) of the sentence, and of the changed one, are as expected."""
        labels = _label(before), _label(after)
        match self.expected:
            case "same":
                return labels[0] == labels[1] or abs(after - before) <= tolerance
            case "flip":
                return labels[0] != labels[1]
            case "up":
                return after >= before - tolerance
            case "down":
                return after <= before + tolerance
            case label:
                return labels[0] == int(label)


#: The probes of notebook N3: negation, moved words, and one sentence in three cases.
NOTEBOOK_N3 = (
    Probe("notebook_n3", "MFT", "not a bad movie", "", "1"),
    Probe("notebook_n3", "INV", "not a bad movie", "NOT A BAD MOVIE", "same"),
    Probe("notebook_n3", "INV", "not a bad movie", "Not A Bad Movie", "same"),
    Probe(
        "notebook_n3", "INV", "Today, the weather is good.", "The weather is good today", "same"
    ),
)  # fmt: skip


def pass_rates(
    probes: Sequence[Probe], probabilities_of: Probabilities, tolerance: float
) -> dict[str, Any]:
    """Count the probes that pass, in all, by kind and by capability, and list the others.

    Returns:
        `passed`, `total` and `rate` (in percent), the same by kind and capability under `kinds` and
        `capabilities`, and every failed probe with its P(positive) under `failures`.
    """
    texts = sorted({text for p in probes for text in (p.sentence, p.changed) if text})
    known = dict(zip(texts, probabilities_of(texts), strict=True))
    outcomes = []
    for probe in probes:
        before = known[probe.sentence]
        after = known[probe.changed] if probe.changed else before
        outcomes.append((probe, before, after, probe.passes(before, after, tolerance)))
    kinds = _grouped((probe.kind, passed) for probe, _, _, passed in outcomes)
    capabilities = _grouped((probe.capability, passed) for probe, _, _, passed in outcomes)
    return {
        **_rate([passed for *_, passed in outcomes]),
        "kinds": [{"kind": name, **_rate(each)} for name, each in kinds.items()],
        "capabilities": [
            {"capability": name, **_rate(each)} for name, each in capabilities.items()
        ],
        "failures": [
            _failure(p, before, after) for p, before, after, passed in outcomes if not passed
        ],
    }


def constant_baseline(probes: Sequence[Probe], tolerance: float) -> dict[str, Any]:
    """`pass_rates` of the better of two models that predict one label for every text.

    This baseline passes every invariance test and every `up` and `down`. A model shows
    understanding only by passing more.
    """

    def rates(probability: float) -> dict[str, Any]:
        return pass_rates(probes, lambda texts: [probability] * len(texts), tolerance)

    return max(rates(0.0), rates(1.0), key=lambda found: found["passed"])


def _label(probability: float) -> int:
    return int(probability > THRESHOLD)


def _grouped(outcomes: Iterable[tuple[str, bool]]) -> Mapping[str, list[bool]]:
    groups: dict[str, list[bool]] = {}
    for name, passed in outcomes:
        groups.setdefault(name, []).append(passed)
    return groups


def _rate(passed: Sequence[bool]) -> dict[str, Any]:
    count, total = sum(passed), len(passed)
    return {"passed": count, "total": total, "rate": 100 * count / total if total else 0.0}


def _failure(probe: Probe, before: float, after: float) -> dict[str, Any]:
    fields = {"capability": probe.capability, "kind": probe.kind, "expected": probe.expected}
    texts: dict[str, Any] = {"sentence": probe.sentence, "positive": before}
    if probe.changed:
        texts |= {"changed": probe.changed, "changed_positive": after}
    return fields | texts
