"""`retune verify --claims` scores what DVC's cache holds by the stages of dvc.yaml."""

import shutil
from pathlib import Path

import pytest
from test_verify import ROOT, Small

from retune.tools.claims.ledger import Reproduced, load
from retune.tools.project.graph import read_stages
from retune.tools.verify.claimed import scored_files

PIPELINE = """
stages:
  write:
    cmd: python write.py
    deps: [write.py]
    params: [versions.yaml: [torch]]
    outs: [data/qa/raw, data/qa/predictions]
  score:
    cmd: python score.py
    deps: [score.py, data/qa/raw, data/qa/predictions]
    outs: [data/qa/scores]
    metrics:
      - metrics/qa.json: {cache: false}
"""
WRITE = """
from pathlib import Path
from retune.core.files import write_json, write_json_lines
answers = {"text": ["Ada Berg"], "answer_start": [0]}
row = {"context": "Ada Berg came.", "title": "t", "question": "Who?", "answers": answers}
raw, predictions = Path("data/qa/raw"), Path("data/qa/predictions")
write_json_lines(raw / "test.jsonl", [{"id": name, **row} for name in "abcd"])
texts = {"a": "Ada Berg", "b": "Ada", "c": "came", "d": "Ada Berg"}
write_json(predictions / "predictions.json", texts)
"""
SCORE = """
from pathlib import Path
from retune.tasks.qa.score.score import ScoreParams, score
raw, predictions = Path("data/qa/raw"), Path("data/qa/predictions")
files = raw, predictions, Path("metrics/qa.json"), Path("data/qa/scores")
print(score(*files, ScoreParams("squad"), squad_v2=False, keep="best"))
"""
CLAIMS = """
claims:
  default:
    kind: reproduced
    what: a default run
    params: x
    data: x
    sources: {metrics/qa.json: x}
    values: {metrics/qa.json#qa/exact_match: 50.0}
"""


@pytest.fixture
def scored(tmp_path: Path) -> Small:
    small = Small(tmp_path)
    shutil.rmtree(tmp_path / "metrics")
    files = {"dvc.yaml": PIPELINE, "write.py": WRITE, "score.py": SCORE, "claims.yaml": CLAIMS}
    files |= {"versions.yaml": "torch: 2\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    small.run("dvc", "repro", "-q")
    small.commit()
    return small


@pytest.mark.slow
def test_stored_predictions_are_scored_again(scored: Small) -> None:
    first, *_ = scored.verify("--claims")["claims"]
    assert (first["action"], first["verdict"]) == ("scored again", "same")
    assert first["detail"].startswith("EM 50.00, F1 66.67 over 4 questions")
    scored.edit("metrics/qa.json", "50.0", "75.0")
    scored.commit()
    first, *_ = scored.verify("--claims", code=1)["claims"]
    assert (first["action"], first["verdict"]) == ("scored again", "differs")


def test_only_stages_that_run_no_model_are_run_for_a_claim() -> None:
    scored = {
        name: {stage.partition("@")[0] for stage in scored_files(read_stages(ROOT / folder), claim)}
        for name, claim in load(ROOT).items()
        if isinstance(claim, Reproduced) and not claim.changes
        for folder in [claim.pipeline or ""]
    }
    assert scored == {
        "bert": {"score"}, "corpus": set(), "variants": set(), "adapters-methods": {"score"},
        "pretraining-questions": set(),
        "sentiment-variants": {"score", "probe", "compare"},
        "language-model": {"score", "plots", "compare"},
    }  # fmt: skip


@pytest.mark.slow
def test_predictions_that_are_nowhere_are_said_to_be_missing(scored: Small) -> None:
    shutil.rmtree(scored.folder / ".dvc/cache")
    first, *_ = scored.verify("--claims")["claims"]
    assert (first["action"], first["verdict"]) == ("scored again", "not run")
    assert "not in DVC's cache; `dvc repro` makes them" in first["detail"]
