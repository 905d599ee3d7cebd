"""`retune verify --claims` scores the predictions that DVC's cache holds."""

import shutil
from pathlib import Path

import pytest
from test_verify import Small

pytestmark = pytest.mark.slow

PIPELINE = """
stages:
  write:
    cmd: python write.py
    deps: [write.py]
    outs: [data/qa/raw, data/qa/predictions]
    metrics:
      - metrics/qa.json: {cache: false}
"""
WRITE = """
from pathlib import Path
from retune.tasks.qa.score.score import ScoreParams, score
from retune.core.files import write_json, write_json_lines
answers = {"text": ["Ada Berg"], "answer_start": [0]}
row = {"context": "Ada Berg came.", "title": "t", "question": "Who?", "answers": answers}
raw, predictions = Path("data/qa/raw"), Path("data/qa/predictions")
write_json_lines(raw / "validation.jsonl", [{"id": name, **row} for name in "abcd"])
texts = {"a": "Ada Berg", "b": "Ada", "c": "came", "d": "Ada Berg"}
write_json(predictions / "predictions.json", texts)
score(raw, predictions, Path("metrics/qa.json"), ScoreParams("squad"), squad_v2=False)
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
    params = "qa:\n  squad_v2: false\n  score:\n    normalizer: squad\n"
    files = {"dvc.yaml": PIPELINE, "write.py": WRITE, "claims.yaml": CLAIMS, "params.yaml": params}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    small.run("dvc", "repro", "-q")
    small.commit()
    return small


def test_stored_predictions_are_scored_again(scored: Small) -> None:
    first, *_ = scored.verify("--claims")["claims"]
    assert (first["action"], first["verdict"]) == ("scored again", "same")
    assert first["detail"].startswith("EM 50.00, F1 66.67 over 4 questions")
    scored.edit("metrics/qa.json", "50.0", "75.0")
    scored.commit()
    first, *_ = scored.verify("--claims", code=1)["claims"]
    assert (first["action"], first["verdict"]) == ("scored again", "differs")


def test_predictions_that_are_nowhere_are_said_to_be_missing(scored: Small) -> None:
    shutil.rmtree(scored.folder / ".dvc/cache")
    first, *_ = scored.verify("--claims")["claims"]
    assert (first["action"], first["verdict"]) == ("scored again", "not run")
    assert "not in DVC's cache; `dvc repro` makes them" in first["detail"]
