"""Probes: when each kind passes, what the rates count, and that the bundled ones are read."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from retune.tasks.sentiment.probe.probe_files import BUNDLED, read_probes
from retune.tasks.sentiment.probe.probes import Probe, ProbeParams, constant_baseline, pass_rates

TOLERANCE = 0.1


def says(**positive: float) -> Callable[[Sequence[str]], Sequence[float]]:
    return lambda texts: [positive[text] for text in texts]


@pytest.mark.parametrize(
    ("kind", "expected", "before", "after", "passes"),
    [
        ("MFT", "1", 0.51, None, True),
        ("MFT", "1", 0.5, None, False),
        ("MFT", "0", 0.5, None, True),
        ("MFT", "0", 0.9, None, False),
        ("INV", "same", 0.99, 0.51, True),  # the label is what must stay
        ("INV", "same", 0.54, 0.46, True),  # within the tolerance
        ("INV", "same", 0.6, 0.4, False),
        ("DIR", "up", 0.5, 0.6, True),
        ("DIR", "up", 0.5, 0.41, True),
        ("DIR", "up", 0.5, 0.39, False),
        ("DIR", "down", 0.5, 0.4, True),
        ("DIR", "down", 0.5, 0.59, True),
        ("DIR", "down", 0.5, 0.61, False),
        ("DIR", "flip", 0.9, 0.1, True),
        ("DIR", "flip", 0.51, 0.49, True),
        ("DIR", "flip", 0.9, 0.6, False),
    ],
)
def test_a_probe_passes_by_its_expectation(
    kind: Any, expected: str, before: float, after: float | None, passes: bool
) -> None:
    probe = Probe("some", kind, "a", "" if after is None else "b", expected)
    found = pass_rates([probe], says(a=before, b=after or 0.0), TOLERANCE)
    assert found["passed"] == passes
    assert found["total"] == 1


def test_rates_are_counted_by_kind_and_by_capability_and_failures_are_listed() -> None:
    probes = [
        Probe("negation", "MFT", "a", "", "1"),
        Probe("negation", "DIR", "a", "b", "flip"),
        Probe("case", "INV", "a", "c", "same"),
        Probe("case", "INV", "b", "c", "same"),
    ]
    assert pass_rates(probes, says(a=0.9, b=0.8, c=0.7), TOLERANCE) == {
        "passed": 3, "total": 4, "rate": 75.0,
        "kinds": [
            {"kind": "MFT", "passed": 1, "total": 1, "rate": 100.0},
            {"kind": "DIR", "passed": 0, "total": 1, "rate": 0.0},
            {"kind": "INV", "passed": 2, "total": 2, "rate": 100.0},
        ],
        "capabilities": [
            {"capability": "negation", "passed": 1, "total": 2, "rate": 50.0},
            {"capability": "case", "passed": 2, "total": 2, "rate": 100.0},
        ],
        "failures": [
            {"capability": "negation", "kind": "DIR", "expected": "flip",
             "sentence": "a", "positive": 0.9, "changed": "b", "changed_positive": 0.8},
        ],
    }  # fmt: skip


def test_a_failure_of_one_sentence_has_one_probability() -> None:
    (failure,) = pass_rates([Probe("x", "MFT", "a", "", "0")], says(a=0.9), 0.0)["failures"]
    assert failure == {
        "capability": "x", "kind": "MFT", "expected": "0", "sentence": "a", "positive": 0.9,
    }  # fmt: skip


def test_each_text_is_asked_for_once() -> None:
    asked: list[str] = []

    def positive(texts: Sequence[str]) -> list[float]:
        asked.extend(texts)
        return [0.9] * len(texts)

    pass_rates(read_probes(BUNDLED), positive, TOLERANCE)
    assert len(set(asked)) == len(asked)
    assert "" not in asked


def test_too_few_probabilities_are_a_bug_that_shows() -> None:
    with pytest.raises(ValueError, match="shorter"):
        pass_rates(read_probes(BUNDLED), lambda texts: [0.5], TOLERANCE)


def test_the_bundled_probes_are_read_with_those_of_the_notebook() -> None:
    probes = read_probes(BUNDLED)
    counts = Counter(probe.capability for probe in probes)
    assert set(counts) == {
        "case", "clause_order", "contrast", "intensifiers", "negation", "neutral_insertions",
        "notebook_n3", "typos",
    }  # fmt: skip
    assert counts["negation"] == 66
    assert Probe("negation", "MFT", "The service is not good.", "", "0") in probes
    expected = {"MFT": {"0", "1"}, "INV": {"same"}, "DIR": {"up", "down", "flip"}}
    assert all(probe.expected in expected[probe.kind] for probe in probes)
    assert all((probe.changed == "") == (probe.kind == "MFT") for probe in probes)


def test_one_answer_to_all_passes_what_asks_for_no_change() -> None:
    found = constant_baseline(read_probes(BUNDLED), 0.0)
    rates = {entry["kind"]: entry["rate"] for entry in found["kinds"]}
    assert rates["INV"] == 100.0
    assert 50 <= rates["MFT"] < 60
    probes = [probe for probe in read_probes(BUNDLED) if probe.kind == "DIR"]
    unturned = [probe for probe in probes if probe.expected in {"up", "down"}]
    assert rates["DIR"] == pytest.approx(100 * len(unturned) / len(probes))
    assert {failure["expected"] for failure in found["failures"]} <= {"flip", "0", "1"}


@pytest.mark.parametrize("labels", ["110", "100"])
def test_the_one_answer_is_the_one_that_passes_more(labels: str) -> None:
    pairs = zip("abc", labels, strict=True)
    probes = [Probe("c", "MFT", text, "", label) for text, label in pairs]
    assert constant_baseline(probes, 0.0)["passed"] == 2


@pytest.mark.parametrize("tolerance", [-0.1, 1.1, "0.1"])
def test_bad_settings_are_refused(tolerance: Any) -> None:
    with pytest.raises(ValidationError, match="tolerance"):
        ProbeParams(tolerance=tolerance)
