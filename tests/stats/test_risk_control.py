import math

import numpy as np
import pytest
from test_calibration import CASES, answers

from retune.core.numerics import Doubles
from retune.stats.calibration import Bools, PlattScaling
from retune.stats.clusters import Clusters
from retune.stats.risk_control import (
    STARTS,
    THRESHOLDS,
    Promise,
    fallback,
    promised_threshold,
)

PRECISION, CERTAINTY = 0.9, 0.95
LEVEL = (1 - CERTAINTY) / len(STARTS)


def found(log_odds: Doubles, right: Bools, clusters: Clusters) -> Promise:
    return promised_threshold(
        log_odds, right, clusters, precision=PRECISION, certainty=CERTAINTY
    )  # fmt: skip


def alone(count: int) -> Clusters:
    return Clusters(np.arange(count))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["seed"]))
def test_independent_answers_have_about_the_threshold_of_mapie(case: dict[str, object]) -> None:
    log_odds, right = answers(case)
    threshold = found(log_odds, right, alone(len(right))).threshold
    lowest = case["lowest_confidence"]
    assert (threshold is None) == (lowest is None)
    if threshold is not None:
        (confidence,) = PlattScaling(1.0, 0.0)(np.array([threshold])).tolist()
        assert confidence == pytest.approx(lowest, abs=0.06)


def test_a_hypothesis_that_is_rejected_passes_its_level_on() -> None:
    def p_values(values: dict[float, float]) -> list[float]:
        return [values.get(threshold, 1.0) for threshold in THRESHOLDS]

    start = STARTS[1]
    assert fallback(p_values({}), LEVEL) is None
    assert fallback(p_values({7.75: 0.0}), LEVEL) is None  # it is no start
    chain = {start: LEVEL, start - 0.25: LEVEL, start - 0.75: 0.0}
    last = fallback(p_values(chain), LEVEL)
    assert last is not None
    assert THRESHOLDS[last] == start - 0.25
    to_next = {start - step / 4: LEVEL for step in range(8)} | {STARTS[2]: 2 * LEVEL}
    last = fallback(p_values(to_next), LEVEL)
    assert last is not None
    assert THRESHOLDS[last] == STARTS[2]
    assert fallback(p_values({STARTS[2]: 2 * LEVEL}), LEVEL) is None


def test_a_few_passages_promise_nothing_and_the_number_needed_would() -> None:
    few = found(np.full(30, 5.0), np.ones(30, np.bool_), alone(30))
    assert few.threshold is None
    # Each right answer multiplies the wealth of the highest bet by at most 1 + 0.1 / 0.9.
    assert few.needed is not None
    least = math.log(1 / LEVEL) / math.log(1 / 0.9)
    assert least < few.needed < 1.5 * least
    for count, threshold in ((few.needed - 1, None), (few.needed, THRESHOLDS[-1])):
        again = found(np.full(count, 5.0), np.ones(count, np.bool_), alone(count))
        assert again.threshold == threshold


def test_a_few_sure_answers_are_no_hope_if_no_test_reaches_them() -> None:
    """A start is stricter than all answers, and at the next one too many are wrong."""
    log_odds = np.concatenate([np.full(4, 3.5), np.full(96, 2.5)])
    right = np.concatenate([np.full(4, True), np.arange(96) % 3 > 0])
    assert found(log_odds, right, alone(100)) == Promise(None, 100, None)


def test_many_passages_are_no_overflow() -> None:
    count = 20_000
    log_odds, places = np.linspace(9, -9, count), np.arange(count)
    assert found(log_odds, places % 5 == 0, alone(count)).threshold is None
    assert found(log_odds, places < 0.6 * count, alone(count)).threshold is not None


def test_answers_that_are_too_often_wrong_promise_nothing() -> None:
    right = np.arange(5000) % 5 > 0
    assert found(np.zeros(5000), right, alone(5000)) == Promise(None, 5000, None)


def test_copies_of_a_question_in_its_passage_add_no_evidence() -> None:
    right = np.arange(120) % 40 > 0
    log_odds = np.full(120, 3.0)
    single = found(log_odds, right, alone(120))
    copied = found(np.tile(log_odds, 9), np.tile(right, 9), Clusters(np.tile(np.arange(120), 9)))
    assert copied == single


@pytest.mark.parametrize("sizes", [(5,), (1, 2, 3, 14)])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_a_broken_promise_is_rare_where_none_can_be_kept(
    correlation: float, sizes: tuple[int, ...]
) -> None:
    """At every threshold a bit less than nine of ten answers are right."""
    generator = np.random.default_rng(1)
    passages, trials = 80, 200
    each = np.resize(sizes, passages)
    clusters = Clusters(np.repeat(np.arange(passages), each))
    promised = 0
    for _ in range(trials):
        log_odds = generator.normal(2, 3, each.sum())
        common = np.repeat(generator.random(passages), each)
        own = generator.random(each.sum())
        shared = np.repeat(generator.random(passages) < correlation, each)
        right = np.where(shared, common, own) < 0.899
        promised += found(log_odds, right, clusters).threshold is not None
    assert promised <= 0.05 * trials


def test_a_threshold_is_found_where_there_is_one() -> None:
    generator = np.random.default_rng(2)
    passages, each, trials = 300, 5, 20
    clusters = Clusters(np.repeat(np.arange(passages), each))
    chances = PlattScaling(1.0, 0.0)
    precisions = []
    for _ in range(trials):
        log_odds = generator.normal(1, 3, passages * each)
        right = generator.random(len(log_odds)) < chances(log_odds)
        threshold = found(log_odds, right, clusters).threshold
        if threshold is not None:
            precisions.append(float(chances(log_odds[log_odds >= threshold]).mean()))
    assert len(precisions) >= 0.8 * trials
    assert min(precisions) > PRECISION
    assert max(precisions) < 0.97  # most of what could be answered is
