from hypothesis import given
from hypothesis import strategies as st

from retune.processes import JointBatches, Share

counts = st.integers(1, 5)


def batches(lengths: list[int], size: int, share: Share, group: int | None) -> JointBatches:
    return JointBatches(lengths, size, seed=1, share=share, group=group)


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
    group = size if grouped else None
    joint = list(batches(lengths, size, Share(), group))
    shares = [list(batches(lengths, size, Share(n, count), group)) for n in range(count)]
    assert {len(share) for share in shares} == {len(joint)}
    for whole, *parts in zip(joint, *shares, strict=True):
        assert sorted(whole) == sorted(index for part in parts for index in part)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sorted(index for whole in joint for index in whole) == list(range(windows))


def test_the_order_depends_on_the_epoch_alone() -> None:
    drawn = batches(list(range(20)), 4, Share(), None)
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
        for batch in batches(lengths, 8, Share(), group=8)
    ]
    assert sum(spans) / len(spans) < 4


def test_one_process_gathers_its_own() -> None:
    assert Share().gathered("mine") == ["mine"]
