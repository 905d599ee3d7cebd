"""`retune table` in a sister's folder: its results as text."""

import json
from pathlib import Path

import pytest
from report_projects import project

from retune.tools.cli import main
from retune.tools.report.headline import print_results


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project(tmp_path)
    for folder in (tmp_path, tmp_path / "pipelines/toy"):
        (folder / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path / "pipelines/toy")
    return tmp_path


def test_a_sister_prints_its_results_within_80_columns(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:1] == ["plain"] for line in lines)


def test_the_same_as_json_has_each_variant(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_results(toy, Path("pipelines/toy"), as_json=True)
    tables = json.loads(capsys.readouterr().out)
    methods = {row["method"] for table in tables for row in table["rows"] if "method" in row}
    assert methods == {"plain", "fancy"}
