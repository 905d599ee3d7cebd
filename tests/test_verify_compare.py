"""Two runs told apart: which rule, which verdict."""

from typing import Any

import pytest

from retune.tools.verify.compare import EQUAL, TOLERANT, Run, chosen_rule, compare, verdict_on


def run_of(f1: float, environment: list[str] | None, tokens: str = "t") -> Run:
    stages = {
        "tokenize": {"outs": [{"path": "features", "md5": tokens}]},
        "train": {
            "deps": [{"path": "features", "md5": tokens}],
            "outs": [{"path": "costs.json", "md5": f"{f1} {environment}"}],
        },
    }
    return Run(stages, {"costs.json": {"qa": {"f1": f1, "environment": environment}}})


def test_what_stands_before_the_numeric_work_must_be_equal_on_another_processor() -> None:
    committed, tolerances = run_of(40.0, ["a", "lib 1.0"]), {"f1": 4.0}
    other = compare(committed, run_of(43.0, ["b", "lib 1.0"], tokens="u"), tolerances)
    assert [row.verdict for row in other.rows] == ["differs", "within tolerance"]
    libraries = compare(committed, run_of(43.0, ["a", "lib 1.1"], tokens="u"), tolerances)
    assert [row.verdict for row in libraries.rows] == ["not compared", "within tolerance"]
    assert not compare(committed, run_of(44.1, ["b", "lib 1.0"]), tolerances).agrees
    assert not compare(committed, run_of(40.1, ["a", "lib 1.0"]), tolerances).agrees


def test_a_stage_that_is_gone_or_new_is_a_difference() -> None:
    whole = run_of(40.0, ["a"])
    part = Run({"tokenize": whole.stages["tokenize"]}, {})
    assert [r.detail for r in compare(whole, part, {}).rows][-1] == "the stage did not run"
    assert [r.detail for r in compare(part, whole, {}).rows][-1] == "a stage that is not recorded"


def test_the_rule_is_chosen_by_the_environments() -> None:
    assert chosen_rule(None, None)[0] == chosen_rule(["a"], ["a"])[0] == EQUAL
    assert chosen_rule(None, ["a"]) == (TOLERANT, "the recorded run records none")
    rule, reason = chosen_rule(["a", "2 threads"], ["a", "4 threads"])
    assert rule == TOLERANT
    assert reason == "the environment differs: recorded 2 threads; here 4 threads"


@pytest.mark.parametrize(
    ("new", "rule", "verdict"),
    [
        ({"qa.f1": 52.0, "n": 1}, EQUAL, "same"),
        ({"qa.f1": 52.0 + 1e-9, "n": 1}, EQUAL, "differs"),
        ({"qa.f1": 55.9, "n": 1}, TOLERANT, "within tolerance"),
        ({"qa.f1": 56.1, "n": 1}, TOLERANT, "differs"),
        ({"qa.f1": 47.9, "n": 1}, TOLERANT, "differs"),
        ({"qa.f1": None, "n": 1}, TOLERANT, "differs"),
        ({"qa.f1": 52.0, "n": 2}, TOLERANT, "differs"),
        ({"qa.f1": 52.0}, TOLERANT, "differs"),
    ],
)
def test_figures_are_judged_by_their_tolerance(
    new: dict[str, Any], rule: str, verdict: str
) -> None:
    assert verdict_on({"qa.f1": 52.0, "n": 1}, new, rule, {"f1": 4.0})[0] == verdict
