import json
from pathlib import Path
from typing import Any

import pytest
import sentiment_runs
import yaml

from retune.cli import main
from retune.manifests import seal
from retune.sentiment.models import load
from retune.sentiment.predict import PredictParams, predict


@pytest.fixture(scope="module", params=["bag_of_embeddings", "bert"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained model, its predictions and its settings."""
    folder = sentiment_runs.write_data(tmp_path_factory.mktemp("ask"))
    sentiment_runs.write_features(folder)
    sentiment_runs.run(folder, folder, model=request.param)
    model = folder / "model"
    seal(model, {"inputs": {}, "params": {"sentiment.model": request.param}})
    settings = PredictParams(batch_size=4, precision="fp32")
    network = load(request.param, model)
    predict(folder / "raw", folder / "features", network, folder / "predictions", settings)
    sentiment = {"tokenize": {"max_length": 16}, "predict": {"batch_size": 4, "precision": "fp32"}}
    (folder / "params.yaml").write_text(yaml.safe_dump({"sentiment": sentiment}), encoding="utf-8")
    return folder


def ask(folder: Path, *words: str) -> int:
    files = ["--model", str(folder / "model"), "--params", str(folder / "params.yaml")]
    return main(["ask", "--task", "sentiment", *files, *words])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_it_says_what_the_predict_stage_says(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [row["text"] for row in lines(trained / "raw/validation.jsonl")]
    expected = [row["positive"] for row in lines(trained / "predictions/predictions.jsonl")]
    assert ask(trained, "--json", *texts) == 0
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [reply["text"] for reply in replies] == texts
    assert [reply["positive"] for reply in replies] == pytest.approx(expected, abs=1e-6)
    labels = ["positive" if value > 0.5 else "negative" for value in expected]
    assert [reply["label"] for reply in replies] == labels
    assert ask(trained, texts[0]) == 0
    certainty = max(replies[0]["positive"], 1 - replies[0]["positive"])
    assert capsys.readouterr().out == f"{labels[0]}  {certainty:.1%}  {texts[0]}\n"


def test_a_context_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "context.txt").write_text("A text.", encoding="utf-8")
    assert ask(trained, "--context", str(tmp_path / "context.txt"), "ships") == 1
    assert "a sentence is classified as it stands" in capsys.readouterr().err
