import numpy as np
import pytest

from retune.core.errors import RetuneError
from retune.stats.clusters import Clusters, standard_error
from retune.stats.paired import Draws
from retune.stats.unpaired import Sample, difference_of_means

DRAWS = Draws(1999)


def drawn(generator: np.random.Generator, passages: int, mean: float = 0.0) -> Sample:
    """Seven questions a passage, alike in each: half of the variance is the passage's."""
    shared = np.repeat(generator.normal(size=passages), 7)
    scores = mean + shared + generator.normal(size=len(shared))
    return Sample(scores, Clusters(np.repeat(np.arange(passages), 7)))


def test_intervals_hold_the_difference_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    held = []
    for _ in range(300):
        found = difference_of_means(drawn(generator, 30, 1.0), drawn(generator, 40), DRAWS)
        assert found.low is not None
        assert found.high is not None
        held.append(found.low <= 1.0 <= found.high)
    assert 0.92 <= np.mean(held) <= 0.985


def test_the_width_is_that_of_two_independent_errors() -> None:
    generator = np.random.default_rng(4)
    one, other = drawn(generator, 400), drawn(generator, 300)
    found = difference_of_means(one, other)
    errors = [standard_error(*sample) for sample in (one, other)]
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.hypot(*errors), rel=0.04)
    assert found.value == pytest.approx(one.scores.mean() - other.scores.mean())
    assert found.low < found.value < found.high


def test_equal_samples_are_drawn_apart() -> None:
    """Else their difference would be 0 in every draw."""
    sample = drawn(np.random.default_rng(5), 20)
    found = difference_of_means(sample, sample, DRAWS)
    assert found.value == 0.0
    assert found.low is not None
    assert found.low < -0.2


def test_the_same_draws_give_the_same_interval() -> None:
    samples = drawn(np.random.default_rng(6), 9), drawn(np.random.default_rng(7), 8)
    assert difference_of_means(*samples) == difference_of_means(*samples)
    assert difference_of_means(*samples) != difference_of_means(*samples, Draws(seed=5))


def test_one_passage_has_no_interval() -> None:
    one = Sample(np.array([1.0, 0.0]), Clusters(np.array([0, 0])))
    found = difference_of_means(one, drawn(np.random.default_rng(8), 5))
    assert (found.low, found.high) == (None, None)


def test_without_items_there_is_no_difference() -> None:
    empty = Sample(np.array([]), Clusters(np.array([], np.int64)))
    with pytest.raises(RetuneError, match="no item to compare by"):
        difference_of_means(empty, drawn(np.random.default_rng(9), 5))
