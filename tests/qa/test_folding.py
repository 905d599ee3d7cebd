"""Folds: whole articles of all splits take turns as test."""

from pathlib import Path
from typing import Any

import pytest
from qa.test_download import question, run, source

from retune.core.files import read_json
from retune.fetch.fetching import Source
from retune.tasks.qa.questions.examples import Example, read_examples


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, list[Source]]:
    """Thirteen articles of 3 questions in three files."""
    rows = [question(f"q{n}", f"word{n} and more", title=f"T{n // 3}") for n in range(39)]
    parts = {"train": rows[:24], "validation": rows[24:30], "test": rows[30:]}
    return {name: [source(tmp_path, f"{name}.jsonl", part)] for name, part in parts.items()}


def splits(
    folder: Path, sources: Any, fold: str, share: float | None = 0.2
) -> dict[str, list[Example]]:
    run(folder, sources, fold=fold, validation_share=share)
    paths = {"train": "raw/train", "validation": "raw/validation", "test": "test/test"}
    files = {name: folder / f"data/{path}.jsonl" for name, path in paths.items()}
    return {name: [*read_examples(path)] for name, path in files.items() if path.is_file()}


def test_each_question_is_tested_in_one_fold_and_articles_stay_whole(
    tmp_path: Path, sources: Any
) -> None:
    tested: list[str] = []
    for fold in range(1, 6):
        found = splits(tmp_path / str(fold), sources, f"{fold}/5")
        titles = [{example.title for example in part} for part in found.values()]
        assert sum(map(len, titles)) == len(set.union(*titles)) == 13
        assert sum(map(len, found.values())) == 39
        assert len(found["test"]) in (6, 9)
        assert len(found["validation"]) >= 6
        tested += [example.id for example in found["test"]]
    assert sorted(tested) == sorted(f"q{n}" for n in range(39))


def test_without_a_share_there_is_no_validation_split(tmp_path: Path, sources: Any) -> None:
    assert [*splits(tmp_path, sources, "1/3", None)] == ["train", "test"]


def test_the_report_names_the_fold_and_all_files(tmp_path: Path, sources: Any) -> None:
    splits(tmp_path, sources, "2/5")
    for entry in read_json(tmp_path / "metrics.json")["qa"]["download"]:
        assert entry["fold"] == "2/5"
        names = {Path(file["name"]).name for file in entry["files"]}
        assert names == {"train.jsonl", "validation.jsonl", "test.jsonl"}
