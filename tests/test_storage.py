import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.core.files import (
    atomic_path,
    read_json,
    read_json_lines,
    remove,
    sha256,
    write_json,
    write_json_lines,
    write_json_texts,
)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "value.txt"
    path.write_text("old\n")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["value.txt"]


def test_an_interrupted_folder_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        raise ZeroDivisionError
    assert os.listdir(path) == ["old"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_whole_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    with atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert os.listdir(path) == ["new"]


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".value.partial").mkdir()
    (tmp_path / ".value.partial" / "torn").touch()
    write_json(tmp_path / "value", {})
    assert os.listdir(tmp_path) == ["value"]


def test_json_has_sorted_keys_and_unix_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a" / "value.json"
    write_json(path, {"b": [1, 2.5], "a": "é"})
    data = path.read_bytes()
    assert data == '{\n  "a": "é",\n  "b": [\n    1,\n    2.5\n  ]\n}\n'.encode()
    assert read_json(path) == json.loads(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused_by_its_place(tmp_path: Path, value: float) -> None:
    with pytest.raises(RetuneError, match=r"value.json: qa.rows.1.f1 is -?(nan|inf)"):
        write_json(tmp_path / "value.json", {"qa": {"rows": [{}, {"f1": value}]}})
    assert os.listdir(tmp_path) == []


def test_json_lines_round_trip(tmp_path: Path) -> None:
    rows = [{"text": "line\u2028break\n", "n": 1}, {"text": "", "n": 2}]
    assert write_json_lines(tmp_path / "rows.jsonl", rows) == 2
    assert list(read_json_lines(tmp_path / "rows.jsonl")) == rows


@given(texts=st.dictionaries(st.text(), st.text()))
def test_texts_are_written_as_json_with_any_number_of_runs(
    tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    write_json(folder / "whole.json", texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retune.core.files._RUN", 2)
        write_json_texts(folder / "runs.json", texts.items())
    assert (folder / "runs.json").read_bytes() == (folder / "whole.json").read_bytes()
    assert sorted(os.listdir(folder)) == ["runs.json", "whole.json"]


def test_missing_and_damaged_files_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    with pytest.raises(RetuneError, match="no such file; run the stage that writes it"):
        read_json(path)
    with pytest.raises(RetuneError, match="no such file; run the stage that writes it"):
        next(read_json_lines(path))
    path.write_text('{"a": 1}\n{"a"')
    with pytest.raises(RetuneError, match=r"not valid JSON .*; run `dvc repro` again"):
        read_json(path)
    with pytest.raises(RetuneError, match=r"value.json:2: not valid JSON"):
        list(read_json_lines(path))


def test_remove_keeps_what_a_link_points_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    assert os.listdir(tmp_path) == ["folder"]


def test_sha256_is_the_sum_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")
