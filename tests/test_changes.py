"""The table of a pull request."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from retune.tools.cli.main import main
from retune.tools.verify.changes import table
from retune.tools.verify.compare import Run


def run_of(environment: str = "a", f1: float = 50.0, **more: Any) -> Run:
    values = {"qa": {"exact_match": 40.0, "f1": f1, "train_seconds": f1, **more}}
    times = {"qa": {"details": [{"environment": [environment]}]}}
    return Run({}, {"metrics/qa.json": values, "metrics/times.json": times})


def test_only_what_has_changed_is_shown_the_headline_first() -> None:
    details = [{"group": "all", "f1": 51.0, "questions": 1000}]
    lines = list(table(run_of(), run_of(f1=51.5, details=details, found=None), {}))
    assert lines[0] == "EM **40.00** (base 40.00), F1 **51.50** (base 50.00)"
    assert "in the same environment" in lines[2]
    assert lines[4:] == [
        "| figure | base | head | change | verdict |",
        "|---|--:|--:|--:|---|",
        "| F1 | 50.00 | 51.50 | +1.50 | changed |",
        "| `qa.details.0.f1` | - | 51.00 |  | changed |",
        "| `qa.details.0.questions` | - | 1,000 |  | changed |",
    ]


def test_another_environment_is_named_with_a_verdict_for_each_figure() -> None:
    lines = list(table(run_of(), run_of("b", f1=48.4, losses=3), {"f1": 4.0}))
    assert "recorded a; here b" in lines[2]
    assert lines[6:] == [
        "| F1 | 50.00 | 48.40 | -1.60 | within tolerance |",
        "| `qa.losses` | - | 3 |  | differs |",
    ]


def test_a_change_of_nothing_is_a_line_and_a_large_one_stays_short() -> None:
    assert list(table(run_of(), run_of(), {}))[-1] == "No figure changed."
    many = run_of(**{f"n{i}": i for i in range(300)})
    lines = list(table(run_of(), many, {}))
    assert sum(line.startswith("| ") for line in lines) == 25 + 1
    assert lines[-1] == "\n275 more figures changed; `dvc metrics diff` shows them."


def test_the_base_is_a_commit_or_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    stages = {"score": {"outs": [{"path": "qa.json", "md5": "0"}]}}
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": stages}))
    (tmp_path / "qa.json").write_text(json.dumps({"qa": {"exact_match": 1.0, "f1": 2.0}}))
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], check=True)
    (tmp_path / "qa.json").write_text(json.dumps({"qa": {"exact_match": 1.0, "f1": 3.0}}))
    for base in ("HEAD", str(tmp_path)):
        assert main(["diff", base]) == 0
    printed = capsys.readouterr().out
    assert "| F1 | 2.00 | 3.00 | +1.00 | changed |" in printed
    assert "No figure changed." in printed
    assert main(["diff", "nowhere"]) == 2
    assert "nowhere: neither a folder with a dvc.lock nor a commit" in capsys.readouterr().err
