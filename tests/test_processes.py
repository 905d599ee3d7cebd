from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_processes import in_threads

from retune.processes.share import ALONE, Share
from retune.training.distributed import JointBatches

counts = st.integers(1, 5)


def batches(lengths: list[int], size: int, share: Share, *, grouped: bool) -> JointBatches:
    return JointBatches(lengths, size, seed=1, share=share, grouped=grouped)


@given(st.integers(0, 40), counts)
def test_runs_cover_all_items_once_and_evenly(items: int, count: int) -> None:
    runs = [Share(index, count).run_of(items) for index in range(count)]
    assert [item for run in runs for item in run] == list(range(items))
    assert max(map(len, runs)) - min(map(len, runs)) <= 1


@given(st.integers(1, 40), counts, st.integers(1, 3), st.booleans())
def test_shares_together_are_the_joint_batches(
    windows: int, count: int, per_process: int, grouped: bool
) -> None:
    lengths, size = [7 * n % 5 + 1 for n in range(windows)], per_process * count
    joint = list(batches(lengths, size, Share(), grouped=grouped))
    shares = [list(batches(lengths, size, Share(n, count), grouped=grouped)) for n in range(count)]
    assert {len(share) for share in shares} == {len(joint)}
    for whole, *parts in zip(joint, *shares, strict=True):
        assert sorted(whole) == sorted(index for part in parts for index in part)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sorted(index for whole in joint for index in whole) == list(range(windows))


def test_the_order_depends_on_the_epoch_alone() -> None:
    drawn = batches(list(range(20)), 4, Share(), grouped=False)
    first = list(drawn)
    assert list(drawn) == first
    drawn.set_epoch(1)
    assert list(drawn) != first
    drawn.set_epoch(0)
    assert list(drawn) == first


def test_grouped_batches_have_similar_lengths() -> None:
    lengths = [n % 10 for n in range(200)]
    spans = [
        max(lengths[i] for i in batch) - min(lengths[i] for i in batch)
        for batch in batches(lengths, 8, Share(), grouped=True)
    ]
    assert sum(spans) / len(spans) < 4


def test_grouped_batches_come_in_any_order_but_for_the_longest_and_what_is_left() -> None:
    lengths = [n % 50 + 1 for n in range(402)] + [99]
    drawn = list(batches(lengths, 8, Share(), grouped=True))
    longest = [max(lengths[i] for i in batch) for batch in drawn]
    assert longest[0] == 99
    assert list(map(len, drawn)) == [8] * 50 + [3]
    falls = sum(a > b for a, b in pairwise(longest))
    assert len(drawn) / 3 < falls < 2 * len(drawn) / 3


def test_one_process_gathers_its_own() -> None:
    assert Share().gathered("mine") == ["mine"]


@given(st.integers(0, 60), st.integers(1, 5), counts)
def test_each_batch_is_computed_once_and_every_process_gets_all_in_order(
    rows: int, size: int, count: int
) -> None:
    computed = []

    def total(batch: range) -> int:
        computed.append(batch)
        return sum(batch)

    def work(share: Share) -> list[tuple[Any, int]]:
        return list(share.computed(range(rows), size, total))

    batches = [range(rows)[begin : begin + size] for begin in range(0, rows, size)]
    assert in_threads(count, work) == [[(batch, sum(batch)) for batch in batches]] * count
    assert sorted(computed, key=lambda batch: batch.start) == batches


def test_by_itself_a_process_computes_a_batch_when_it_is_asked_for() -> None:
    computed = []

    def total(batch: range) -> int:
        computed.append(batch)
        return sum(batch)

    assert next(ALONE.computed(range(6), 2, total)) == (range(2), 1)
    assert computed == [range(2)]


def test_several_processes_exchange_results_after_a_few_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = []

    def gathered(share: Share, values: list[int]) -> list[list[int]]:
        held.append(len(values))
        return [values] * share.count

    monkeypatch.setattr(Share, "gathered", gathered)
    assert len([*Share(0, 2).computed(range(30), 1, sum)]) == 30
    assert held == [4, 4, 4, 3]


def test_without_a_launch_a_process_has_all_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert Share.of_launch() == ALONE == Share(0, 1)
    assert ALONE.is_first
    assert not Share(1, 2).is_first


def test_the_first_process_writes_and_what_others_write_is_removed(tmp_path: Path) -> None:
    places = []
    for share in (Share(0, 2), Share(1, 2)):
        with share.output(tmp_path / "out") as folder:
            folder.mkdir()
            (folder / "file").write_text(str(share.index))
            places.append(folder)
    assert (tmp_path / "out/file").read_text() == "0"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not any(place.exists() for place in places)
