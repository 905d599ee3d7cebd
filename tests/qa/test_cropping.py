"""Cropped windows keep their answer, depend on nothing but seed, epoch and place, and teach."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from training_runs import outputs, run, write_features

from retune.tasks.qa.train.cropping import PLACE, Cropper, cut
from retune.tasks.qa.train.distillation import TEACHER


def window(length: int = 20, cls: int = 0, **changes: Any) -> dict[str, Any]:
    """Four tokens in front of the context, one behind it; each token has its place as its id."""
    start, end = changes.pop("answer", (9, 11))
    return {
        "input_ids": np.arange(length), "token_type_ids": np.arange(length) % 2,
        "length": length, "cls": cls, "context_start": 4, "context_end": length - 1,
        "start_position": start, "end_position": end, PLACE: 3, **changes,
    }  # fmt: skip


@given(seed=st.integers(0, 50), epoch=st.integers(0, 50), place=st.integers(0, 50))
def test_the_answer_stays_with_some_of_the_context(seed: int, epoch: int, place: int) -> None:
    whole = window(**{PLACE: place})
    (cropped,) = Cropper(1.0, seed)([whole], epoch)
    ids = cropped["input_ids"].tolist()
    assert ids[cropped["start_position"] : cropped["end_position"] + 1] == [9, 10, 11]
    low, high = cropped["context_start"], cropped["context_end"]
    assert ids[:low] == [0, 1, 2, 3]
    assert ids[high:] == [19]
    assert ids[low:high] == [*range(ids[low], ids[high - 1] + 1)]
    assert (cropped["token_type_ids"] == cropped["input_ids"] % 2).all()
    (again,) = Cropper(1.0, seed)([whole], epoch)
    assert again["input_ids"].tolist() == ids
    assert whole["input_ids"].tolist() == [*range(20)]


def lengths(epochs: range, chance: float, **changes: Any) -> list[int]:
    crop = Cropper(chance, 1)
    return [len(crop([window(**changes)], epoch)[0]["input_ids"]) for epoch in epochs]


def test_every_cut_is_as_likely_in_some_epoch() -> None:
    assert {*lengths(range(400), 1.0)} == set(range(8, 21))


def test_the_chance_is_that_of_a_window_in_an_epoch() -> None:
    whole = sum(length == 20 for length in lengths(range(1000), 0.3, answer=(4, 4)))
    assert 0.7 < whole / 1000 < 0.77  # one of fifteen cuts takes nothing
    assert lengths(range(50), 0.0) == [20] * 50


@pytest.mark.parametrize("cls", [0, 19])
def test_a_window_without_an_answer_is_cropped_around_any_token(cls: int) -> None:
    crop = Cropper(1.0, 1)
    for epoch in range(50):
        (cropped,) = crop([window(cls=cls, answer=(cls, cls))], epoch)
        assert cropped["input_ids"][cropped["cls"]] == cls
        assert cropped["start_position"] == cropped["end_position"] == cropped["cls"]
        assert cropped["context_end"] > cropped["context_start"]
    empty = window(5, answer=(0, 0))
    assert crop([empty], 1) == [empty]


def test_the_teacher_s_answers_stay_and_the_rest_goes_to_the_cls_token() -> None:
    taught = np.zeros((20, 2), np.float32)
    taught[[9, 15, 5], 0] = 0.6, 0.38, 0.02
    taught[[11, 15, 18], 1] = 0.6, 0.38, 0.02
    for epoch in range(50):
        (cropped,) = Cropper(1.0, 1)([window(**{TEACHER: taught})], epoch)
        ids, left = cropped["input_ids"], cropped[TEACHER]
        assert left.shape == (len(ids), 2)
        assert left.sum(axis=0) == pytest.approx([1.0, 1.0])
        for token in (9, 11, 15):
            assert left[ids == token] == pytest.approx(taught[[token]])
        assert left[0] == pytest.approx([0.02 * (5 not in ids), 0.02 * (18 not in ids)])


def test_a_cut_of_nothing_changes_nothing() -> None:
    whole = window()
    assert all(np.all(cut(whole, 4, 19)[name] == value) for name, value in whole.items())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = write_features(tmp_path_factory.mktemp("data"))
    tiny.write_checkpoint(data / "encoder", initializer_range=0.2)
    return data


def test_a_model_learns_from_cropped_windows_and_an_average(data: Path, tmp_path: Path) -> None:
    out = run(
        data, tmp_path, dropout=0.0, epochs=40, lr=1e-2, log_every=10, crop=0.7, ema_decay=0.9
    )
    assert pd.read_csv(out / "curves/validation.csv")["f1"].max() == 100


def test_each_option_changes_the_training_and_repeats_it(data: Path, tmp_path: Path) -> None:
    plain = outputs(run(data, tmp_path / "plain", epochs=1))
    options: list[dict[str, Any]] = [{"crop": 0.7}, {"ema_decay": 0.9}]
    for number, option in enumerate(options):
        first, second = (
            outputs(run(data, tmp_path / f"{number}{name}", epochs=1, **option)) for name in "ab"
        )
        assert first == second
        assert first["model.safetensors"] != plain["model.safetensors"]
