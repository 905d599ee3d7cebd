"""A whole search with DVC and git, in a project whose stages train nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tries.searches import BETTER

from retune.tools.cli.main import main
from retune.tools.tries.ledger import LEDGER
from retune.tools.tries.looks import scored_models

STAGE = """
import json, pathlib, random, sys, yaml
qa, data = yaml.safe_load(open("params.yaml"))["qa"], pathlib.Path("data/qa")
def write(name, rows):
    path = data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\\n" for row in rows))
def scores(split):
    model = json.loads((data / "model/model.json").read_text())
    draw = random.Random(f"{model}{split}")
    for p in range(20):
        for q in range(5):
            right = draw.random() < (0.9 if model["lr"] > 2e-4 else 0.5)
            yield {
                "id": f"{split}{p}.{q}", "passage": f"p{p}", "article": "a", "question": "What?",
                "references": ["yes"], "exact_match": right, "f1": float(right),
                "answer": "yes" if right else "no",
            }
stage = sys.argv[1]
if stage == "download":
    write("raw/validation.jsonl", [{"split": "validation"}])
    write("test/test.jsonl", [{"split": "test"}])
if stage == "train":
    write("model/model.json", [{"seed": qa["seed"], "lr": float(qa["train"]["lr"])}])
if stage == "validate":
    write("validation_scores/questions.jsonl", scores("validation"))
if stage == "predict":
    write("predictions/predictions.jsonl", scores("test"))
if stage == "score":
    write("scores/questions.jsonl", scores("test"))
"""
#: Deps and outs of each stage, in data/qa.
STAGES = {
    "download": ([], ["raw", "test"]),
    "train": (["raw"], ["model"]),
    "validate": (["raw", "model"], ["validation_scores"]),
    "predict": (["test", "model"], ["predictions"]),
    "score": (["test", "predictions"], ["scores"]),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    graph = {
        name: {
            "cmd": f"{sys.executable} stage.py {name}",
            "deps": ["stage.py", *(f"data/qa/{dep}" for dep in deps)],
            "outs": [f"data/qa/{out}" for out in outs],
        }
        | ({"params": ["qa.seed", "qa.train.lr"]} if name == "train" else {})
        for name, (deps, outs) in STAGES.items()
    }
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": graph}), encoding="utf-8")
    (tmp_path / "params.yaml").write_text("qa: {seed: 1, train: {lr: 1e-4}}\n", encoding="utf-8")
    (tmp_path / "stage.py").write_text(STAGE, encoding="utf-8")
    (tmp_path / ".gitignore").write_text("/data\n/logs\n", encoding="utf-8")
    for words in (
        ["git", "init", "-q"], ["git", "config", "user.name", "a"],
        ["git", "config", "user.email", "a@b"], [sys.executable, "-m", "dvc", "init", "-q"],
        ["git", "add", "-A"], ["git", "commit", "-qm", "first"],
    ):  # fmt: skip
        subprocess.run(words, check=True)
    return tmp_path


@pytest.mark.slow
def test_a_search_runs_in_experiments_up_to_validate_and_at_its_end_on_test(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", "--begin", "--tries", "2", "--seeds", "1,2,3"]) == 0
    assert main(["try", "better", *BETTER]) == 0
    entries = [json.loads(line) for line in (project / LEDGER).read_text().splitlines()]
    models = {model for entry in entries for model in entry.get("models", ())}
    assert len(models) == 6
    assert {*scored_models(project)} == models
    assert not list(project.rglob("data/qa/predictions"))
    cached = [*project.glob(".dvc/cache/files/md5/*/*")]
    assert not [path for path in cached if b'"id":"test' in path.read_bytes().replace(b" ", b"")]
    capsys.readouterr()
    assert main(["try", "--end"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("VERDICT better f1 +")
    assert main(["try", "more", "qa.train.lr=5e-4"]) == 1
    assert "the search has ended" in capsys.readouterr().err
