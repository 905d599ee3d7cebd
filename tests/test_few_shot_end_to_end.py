"""A few-shot protocol on a tiny corpus with a tiny encoder, from raw data to a comparison."""

import json
from pathlib import Path
from typing import Any

import pytest
from projects import Project

pytestmark = pytest.mark.slow
SIZES = ("--train", "4", "--validation", "2", "--test", "3", "--draws", "2")


def few_shot(project: Project, *words: str) -> tuple[dict[str, Any], str]:
    """What `retune few-shot --json` prints, and all of its output."""
    output = project.run("retune", "few-shot", "--json", *SIZES, *words)
    return json.loads(output[output.index("{") : output.rindex("}") + 1]), output


def drawn(project: Project, name: str, file: str) -> str:
    """The MD5 of a folder of an experiment, from its dvc.lock."""
    listing = project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps")
    (ref,) = (line for line in listing.splitlines() if line.endswith(f"/{name}"))
    lock = project.run("git", "show", f"{ref}:dvc.lock").splitlines()
    place = lock.index(f"    - path: {file}")
    return next(line.split()[1] for line in lock[place:] if "md5: " in line)


def test_draws_share_the_test_questions_and_are_compared_in_pairs(tmp_path: Path) -> None:
    project = Project(tmp_path, forked=True)
    before = (tmp_path / "params.yaml").read_bytes()
    value, output = few_shot(project)
    assert "cost: 2 trainings on 4 questions" in output
    assert "there is no last run to tell the time by" in output
    assert (tmp_path / "params.yaml").read_bytes() == before
    names = [f"{value['name']}-draw={number}" for number in (1, 2)]
    for out in ("data/qa/raw", "data/qa/test"):
        sums = {drawn(project, name, out) for name in names}
        assert len(sums) == (2 if out == "data/qa/raw" else 1)
    assert value["questions"] == {"train": 4, "validation": 2, "test": 3}
    assert {draw["epoch"] for draw in value["draws"]} == {1}
    project.run("dvc", "exp", "remove", names[1])
    again, output = few_shot(project)
    assert "; 1 of 2 draws are done" in output
    assert again == value
    other, _ = few_shot(project, "qa.postprocess.max_answer_length=1")
    assert other["name"] != value["name"]
    output = project.run("retune", "compare", f"long={value['name']}", f"short={other['name']}")
    assert "Drawn: 2 sets of training questions, each with its seed, and 3 test" in output
    output = project.run("retune", "table", "--seeds")
    assert value["name"] in output
