from typing import Any, NamedTuple

import pytest
from pydantic import ValidationError

from retune.ingest.subsample import LimitParams, limited


class Row(NamedTuple):
    id: str


def rows(count: int) -> list[Row]:
    return [Row(f"q{n}") for n in range(count)]


@pytest.mark.parametrize(
    ("total", "limit", "size"),
    [
        (87_599, "1%", 876),
        (10_570, "3%", 317),
        (10_570, "sample 3%", 317),
        (10_570, None, 10_570),
        (10_570, 1000, 1000),
        (10_570, "sample 1000", 1000),
        (10, "2.5%", 0),
        (10, "100%", 10),
        (10, 1000, 10),
        (10, "sample 1000", 10),
    ],
)
def test_limits_count_to_the_nearest_row(total: int, limit: Any, size: int) -> None:
    kept = limited(rows(total), limit, 13)
    assert len(kept) == size
    numbers = [int(row.id[1:]) for row in kept]
    assert numbers == sorted(numbers)
    if not str(limit).startswith("sample"):
        assert numbers == list(range(size))


def test_a_sample_depends_on_the_seed_and_the_ids_alone() -> None:
    some = rows(1000)
    first = limited(some, "sample 100", 1)
    assert first != limited(some, "sample 100", 2)
    assert first == limited(some, "sample 100", 1)
    assert {row.id for row in first} == {row.id for row in limited(some[::-1], "sample 10%", 1)}
    assert max(int(row.id[1:]) for row in first) > 500


def test_the_first_sample_is_that_of_earlier_releases_and_others_are_drawn_anew() -> None:
    def sampled(*arguments: int) -> list[str]:
        return [row.id for row in limited(rows(30), "sample 5", *arguments)]

    assert sampled(1) == sampled(1, 1) == ["q0", "q9", "q14", "q19", "q23"]
    assert sampled(7) == sampled(7, 1) == ["q6", "q10", "q16", "q17", "q26"]
    drawn = [tuple(sampled(seed, number)) for seed in (1, 7) for number in range(10)]
    assert len({*drawn}) == 20
    assert limited(rows(30), 5, 1, 2) == limited(rows(30), 5, 1)


@pytest.mark.parametrize("limit", [None, 1, "1%", "0.5%", "100%", "sample 1", "sample 12.5%", "7"])
def test_good_limits_are_accepted(limit: Any) -> None:
    assert LimitParams(limit, None, 13).train_limit == limit


@pytest.mark.parametrize(
    "limit", [0, -1, "0%", "101%", "1.5", "sample", "sample 0", "some 10", "1 %", "", "٣%"]
)
def test_bad_limits_are_refused(limit: Any) -> None:
    with pytest.raises(ValidationError, match=r"train_limit is .*; allowed: null, 1000, '1%'"):
        LimitParams(limit, None, 13)
