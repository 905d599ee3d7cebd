import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sentiment_runs
import yaml

from retune import Classifier
from retune.core.errors import RetuneError
from retune.core.manifests import seal
from retune.tasks.sentiment.models import load
from retune.tasks.sentiment.predict.predict import PredictParams, predict
from retune.tasks.sentiment.texts.examples import LABELS
from retune.tools.cli.main import main


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


def test_a_text_that_is_cut_or_of_which_nothing_is_left_is_told(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = " ".join(["ships"] * 30)
    assert ask(trained, "ships", long, "\x07\u200b") == 0
    said = capsys.readouterr().out.splitlines()
    assert not said[0].endswith("tokens)")
    assert said[1].endswith("ships  (its first 16 tokens)")
    assert said[2].startswith("no label, because the tokenizer keeps nothing of it  ")
    assert ask(trained, "--json", "ships", long, "\x07\u200b") == 0
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [reply["cut"] for reply in replies] == [False, True, False]
    assert replies[2]["label"] is replies[2]["positive"] is None


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_standard_input_is_utf8_whatever_the_locale(
    trained: Path, encoding: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def typed(text: bytes) -> None:
        stream = io.TextIOWrapper(io.BytesIO(text), encoding=encoding)
        monkeypatch.setattr(sys, "stdin", stream)

    typed("\ufeffships é\nboats\n".encode())
    assert ask(trained, "--json") == 0
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [reply["text"] for reply in replies] == ["ships é", "boats"]
    typed("ships\nbateaux coulés\n".encode("latin-1"))
    assert ask(trained, "--json") == 1
    said = capsys.readouterr().err
    assert said == "retune: error: text 2 is not UTF-8; convert it to UTF-8\n"


@pytest.mark.parametrize("trained", ["bag_of_embeddings"], indirect=True)
@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_a_process_reads_and_prints_utf8_whatever_the_locale(trained: Path, locale: str) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "retune.tools.cli.main", "ask", "--task", "sentiment", "--json",
            "--model", str(trained / "model"), "--params", str(trained / "params.yaml"),
        ],
        input="\ufeffships é\nboats\n".encode(), env=os.environ | {"LC_ALL": locale},
        capture_output=True, check=True,
    )  # fmt: skip
    texts = [json.loads(line)["text"] for line in done.stdout.splitlines()]
    assert texts == ["ships é", "boats"]


def test_the_classifier_says_what_the_predict_stage_says(trained: Path) -> None:
    texts = [row["text"] for row in lines(trained / "raw/validation.jsonl")]
    expected = [row["positive"] for row in lines(trained / "predictions/predictions.jsonl")]
    (trained / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    classify = Classifier(trained / "model")  # by the params.yaml beside it
    found = classify(texts)
    assert [each["positive"] for each in found] == pytest.approx(expected, abs=1e-6)
    assert [each["label"] for each in found] == [LABELS[value > 0.5] for value in expected]
    shares = [max(value, 1 - value) for value in expected]
    assert [each["score"] for each in found] == pytest.approx(shares, abs=1e-6)
    one = classify(texts[0])
    assert one["positive"] == pytest.approx(expected[0], abs=1e-6)
    assert not one["cut"]
    assert classify(f"{texts[0]} " * 20)["cut"]
    assert classify([]) == []


def test_the_classifier_gives_no_label_to_nothing(trained: Path) -> None:
    found = Classifier(trained / "model")(["\u200b", "good"])
    assert found[0] == {"label": None, "score": None, "positive": None, "cut": False}
    assert found[1]["label"] in LABELS


def test_what_is_no_text_or_no_classifier_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="text 1 is None; give a text"):
        Classifier(trained / "model")(["good", None])  # type: ignore[list-item]
    with pytest.raises(RetuneError, match="no such folder"):
        Classifier(tmp_path / "none")
    with pytest.raises(RetuneError, match="not a folder that a train stage of sentiment wrote"):
        Classifier(tmp_path)
    seal(tmp_path, {"inputs": {}, "params": {"qa.model": "bert"}})
    with pytest.raises(RetuneError, match=r"trained without sentiment\.model, so for another task"):
        Classifier(tmp_path)
