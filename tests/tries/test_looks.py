"""What was scored on the validation questions, read from a planted cache of DVC's."""

import json
from pathlib import Path
from typing import Any

from tries.searches import project

from retune.tools.project.commands import git
from retune.tools.tries import looks
from retune.tools.tries.looks import scored


def run(cache: Path, name: str, scores: str, raw: str, out: str = looks.SCORES) -> None:
    """Plant a run of a stage that read the questions in the folder `raw`."""
    run = {
        "cmd": "x",
        "deps": [{"path": looks.RAW, "md5": raw}],
        "outs": [{"path": out, "md5": scores}],
    }
    path = cache / "runs" / "aa" / "aabb" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run), encoding="utf-8")


def folder(cache: Path, md5: str, files: Any) -> None:
    """Plant the listing of a folder."""
    path = cache / "files" / "md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(files))


def test_scores_are_known_with_their_questions(tmp_path: Path) -> None:
    cache = tmp_path / ".dvc" / "cache"
    folder(cache, "ab1.dir", [{"relpath": "validation.jsonl", "md5": "v"}])
    folder(cache, "ab3.dir", [{"relpath": "validation.jsonl", "md5": "w"}])
    folder(cache, "ab2.dir", [{"relpath": "train.jsonl", "md5": "t"}])
    run(cache, "a", "1" * 32, "ab1.dir")
    run(cache, "b", "2" * 32, "ab2.dir")  # without a validation split
    run(cache, "c", "3" * 32, "gone.dir")
    run(cache, "d", "4" * 32, "ab1.dir", out="data/qa/logits")
    run(cache, "e", "1" * 32, "ab3.dir")  # the same scores, other questions
    (cache / "runs" / "aa" / "aabb" / "f").write_text("no run")
    assert scored(tmp_path) == {
        ("11111111", "v"), ("11111111", "w"), ("22222222", "none"), ("33333333", ""),
    }  # fmt: skip


def test_outside_of_a_project_nothing_is_known(tmp_path: Path) -> None:
    assert scored(project(tmp_path)) == set()
    assert git(tmp_path, "status", "--short") == ""
