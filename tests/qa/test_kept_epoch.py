"""`qa.train.keep`: the best epoch on validation, or the last one."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError
from training_runs import outputs, run, settings, write_features

from retune.core.errors import RetuneError
from retune.core.files import read_json
from retune.core.manifests import seal
from retune.tasks.qa.download.download import require_validation
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.score.question_scores import read_question_scores
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.train.evaluation import Evaluation
from retune.tasks.qa.validate.validate import validate


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same data without a validation split."""
    folder = tmp_path_factory.mktemp("alone") / "data"
    shutil.copytree(data, folder)
    (folder / "raw/validation.jsonl").unlink()
    for path in (folder / "features").glob("validation*"):
        path.unlink()
    for name in ("raw", "features"):
        seal(folder / name, {"inputs": {}, "params": {}})
    return folder


def script_scores(monkeypatch: pytest.MonkeyPatch, f1s: list[float]) -> None:
    coming = iter(f1s)
    figures = {"loss": 1.0, "exact_match": 0.0}
    monkeypatch.setattr(Evaluation, "__call__", lambda *_: figures | {"f1": next(coming)})


def test_the_last_epoch_is_kept_whatever_the_scores_are(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_scores(monkeypatch, [50, 10])
    last = run(data, tmp_path / "last", epochs=2, keep="last")
    script_scores(monkeypatch, [10, 50])
    best = run(data, tmp_path / "best", epochs=2)
    weights = "model.safetensors"
    assert outputs(last)[weights] == outputs(best)[weights]
    curve = pd.read_csv(last / "curves/validation.csv")
    assert curve["f1"].tolist() == [50, 10]  # evaluated all the same


def test_without_a_validation_split_the_weights_are_the_same_and_nothing_is_evaluated(
    data: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = run(data, tmp_path / "there", keep="last")
    script_scores(monkeypatch, [])
    without = run(alone, tmp_path / "alone", keep="last")
    weights = "model.safetensors"
    assert outputs(there)[weights] == outputs(without)[weights]
    assert (without / "curves/validation.csv").read_text() == "step,epoch,loss\n"
    train = "curves/train.csv"
    assert (without / train).read_bytes() == (there / train).read_bytes()


def test_the_best_epoch_needs_a_validation_split(alone: Path, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"no validation\.arrow.*validation_share .*keep: last"):
        run(alone, tmp_path)


def test_patience_and_the_last_epoch_do_not_fit() -> None:
    with pytest.raises(ValidationError, match=r"keep is last, .* but patience is 2; set patience"):
        settings(keep="last", patience=2)


@pytest.mark.parametrize(
    ("keep", "share", "own", "fits"),
    [
        ("best", 0.1, False, True),
        ("best", None, True, True),
        ("last", None, False, True),
        ("best", None, False, False),
    ],
)
def test_the_params_alone_show_that_there_is_nothing_to_choose_by(
    keep: Any, share: float | None, own: bool, fits: bool
) -> None:
    params: Any = SimpleNamespace(validation_share=share, fold=None)
    module = SimpleNamespace(has_validation=lambda _: own)
    dataset: Any = SimpleNamespace(module=module, params=None)
    if fits:
        require_validation(keep, params, dataset)
        return
    with pytest.raises(RetuneError, match=r"keep is best, but there is no validation.*keep: last"):
        require_validation(keep, params, dataset)


def validated(data: Path, model: Path, folder: Path) -> tuple[str, Any]:
    said = validate(
        data / "raw", data / "features", lambda: load("bert", model), folder / "validation.json",
        folder / "scores", None, prediction=PredictParams(4, "fp32"),
        reading=PostprocessParams(5, 10, 0.0), scoring=ScoreParams("squad"), squad_v2=False,
    )  # fmt: skip
    (figures,) = read_json(folder / "validation.json")["qa"]["details"]
    return said, figures


def test_validate_scores_as_the_training_did_under_labelled_names(
    data: Path, tmp_path: Path
) -> None:
    trained = run(data, tmp_path / "trained", dropout=0.0, epochs=30)
    said, figures = validated(data, trained / "model", tmp_path)
    best = pd.read_csv(trained / "curves/validation.csv")["f1"].max()
    assert figures["validation_f1"] == pytest.approx(best)
    assert {"exact_match", "f1"} & {*figures} == set()
    assert (figures["split"], figures["questions"]) == ("validation", 8)
    rows = read_question_scores(tmp_path / "scores/questions.jsonl")
    assert 100 * sum(row.f1 for row in rows) / len(rows) == pytest.approx(best)
    assert said.endswith("over 8 questions")


def test_validate_without_a_split_writes_nothing_to_read_into(alone: Path, tmp_path: Path) -> None:
    said, figures = validated(alone, tmp_path / "no model is loaded", tmp_path)
    assert said == "no validation split"
    assert (figures["validation_exact_match"], figures["validation_f1"]) == (None, None)
    assert (tmp_path / "scores/questions.jsonl").read_bytes() == b""
