"""`retune` works from any folder of a project, as DVC does."""

import argparse
from pathlib import Path

import pytest

from retune.tools.cli.main import main
from retune.tools.project.commands import last_lines
from retune.tools.project.workspace import inside_project, project_top, sister_place


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in a subproject of a project, where we are."""
    folder = tmp_path / "pipelines/small/deep"
    folder.mkdir(parents=True)
    for top in (tmp_path, tmp_path / "pipelines/small"):
        (top / ".dvc").mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_nearest_project_is_found_or_the_one_around_it(deep: Path, tmp_path: Path) -> None:
    assert project_top() == deep.parent
    assert project_top(outermost=True) == tmp_path
    assert project_top(tmp_path.parent) is None


def test_a_sister_is_a_project_in_the_folder_for_them(
    deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sister_place() is None
    (deep.parent / "dvc.yaml").touch()
    assert sister_place() == (tmp_path, Path("pipelines/small"))
    monkeypatch.chdir(tmp_path)
    assert sister_place() is None


def test_files_are_named_from_where_the_user_is(deep: Path, tmp_path: Path) -> None:
    values = {"a": Path("x.txt"), "b": ["y", str(tmp_path / "z")], "c": None, "d": Path("-")}
    arguments = argparse.Namespace(**values, e="kept")
    with inside_project(arguments, "abcd"):
        assert Path.cwd() == deep.parent
    assert Path.cwd() == deep
    assert arguments.a == Path("deep/x.txt")
    assert arguments.b == ["deep/y", "../../z"]
    assert (arguments.c, arguments.d, arguments.e) == (None, Path("-"), "kept")


def test_where_there_is_no_project_or_we_are_at_its_top_nothing_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = argparse.Namespace(a=Path("x"))
    with inside_project(arguments, "a"):
        assert Path.cwd() == tmp_path
    (tmp_path / ".dvc").mkdir()
    with inside_project(arguments, "a"):
        assert arguments.a == Path("x")


@pytest.mark.usefixtures("deep")
def test_a_command_reads_the_files_of_the_projects_top(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table"]) == 1
    assert "metrics/qa.json: no such file" in capsys.readouterr().err
    assert main(["sweep", "qa.seed=1"]) == 1
    assert "params.yaml: no such file" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


def test_the_last_lines_of_a_log_are_without_overwritten_bars(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"one\ntrain:  1%\rtrain: 99%\rtwo \r\n\n\xff three\n")
    assert last_lines(log, 2) == "two\n\ufffd three"
    assert last_lines(log) == "one\ntwo\n\ufffd three"
