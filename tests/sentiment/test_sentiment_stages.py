"""The stage scripts of sentiment behind the augmentation, run as the pipeline would run them."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from sentiment_runs import OPTIMIZATION, write_data
from stage_runs import ROOT, run_stage, said_by_stage

from retune.core.files import sha256
from retune.core.params import load_yaml, module_names
from retune.models.pretrained_files import load_tokenizer
from retune.preflight.validation import read_params
from retune.tasks.sentiment.models import load

PARAMS = ROOT / "pipelines" / "sentiment" / "params.yaml"


@pytest.mark.parametrize("name", ["score", "compare"])
def test_stages_without_a_model_start_without_its_libraries(name: str) -> None:
    done = run_code(f"import sys, stages.sentiment.{name}; print(*sys.modules)")
    assert f"stages.sentiment.{name}" in done
    assert not set(done) & {"torch", "transformers", "datasets", "pandas", "dvc"}


def run_code(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout.split()


def test_the_params_of_the_pipeline_are_whole() -> None:
    values = load_yaml(PARAMS)
    names = [name.split(".") for reading in read_params(PARAMS.parent) for name in reading.asked]
    assert set(values["sentiment"]) == {name[1] for name in names if name[0] == "sentiment"}
    assert len(set(values["sentiment"]["seeds"])) == 4


@pytest.mark.parametrize(
    ("package", "section"),
    [("datasets", "datasets"), ("models", "models"), ("vocabularies", "vocabularies"),
     ("augmenting", "augment.methods")],
)  # fmt: skip
def test_every_choice_has_its_section_in_the_params(package: str, section: str) -> None:
    """DVC refuses a stage whose params are not there."""
    place = load_yaml(PARAMS)["sentiment"]
    for part in section.split("."):
        place = place[part]
    assert set(place) == set(module_names(f"retune.tasks.sentiment.{package}"))


def write_params(folder: Path, *more: str, **changes: Any) -> None:
    """The pipeline's params, smaller, with a tiny encoder, two variants, and `more` of its own."""
    values = load_yaml(PARAMS)
    pin = sha256(folder / "encoder" / "model.safetensors")
    values["sentiment"] |= {
        "seeds": [1, 2, 3], "checkpoint": {"name": "./encoder", "revision": pin},
        "train": OPTIMIZATION | {"epochs": 2, "lr": 2e-2}, "tokenize": {"max_length": 12},
    } | changes  # fmt: skip
    values["sentiment"]["probe"]["folder"] = str(
        PARAMS.parent / values["sentiment"]["probe"]["folder"]
    )
    values["sentiment"]["models"]["lstm"] |= {"hidden_size": 8}
    values["variants"] = {name: values["variants"][name] for name in more} | {
        "lstm": {"model": "lstm"},
        "bag": {"model": "bag_of_embeddings", "train": {"epochs": 1}},
    }
    (folder / "p.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


stage = partial(run_stage, "sentiment")
succeed = partial(said_by_stage, "sentiment")


@pytest.mark.slow
def test_two_variants_from_sentences_to_their_comparison(tmp_path: Path) -> None:
    write_data(tmp_path)
    write_params(tmp_path)
    for name in ("lstm", "bag"):
        one = ("--variant", name)
        features = f"{name}/features"
        succeed(tmp_path, "tokenize", *one, "raw", "augmented", features, f"m/{name}/texts.json")
        for seed in ("1", "2", "3"):
            model, m = f"{name}/runs/{seed}/model", f"m/runs/{name}/{seed}"
            said = succeed(
                tmp_path, "train", *one, "--seed", seed, features, model, f"{m}/curves",
                f"{m}/costs.json", f"{m}/times.json",
            )  # fmt: skip
            assert said.startswith("best epoch ")
            succeed(tmp_path, "predict", *one, "raw", features, model, f"predictions/{name}/{seed}")
        plots = [f"m/{name}/confusion.csv", f"m/{name}/reliability.csv"]
        scores = f"m/{name}/scores.json"
        succeed(tmp_path, "score", *one, "raw", f"predictions/{name}", scores, *plots)
        assert all((tmp_path / plot).is_file() for plot in plots)
    said = succeed(
        tmp_path, "compare", "raw", "predictions", "m/runs", "m/compare.json", "m/compare.csv"
    )
    assert " is first, with accuracy " in said
    assert json.loads((tmp_path / "m/compare.json").read_text())["sentiment"]["variants"]

    said = succeed(tmp_path, "probe", "--variant", "bag", "bag/runs", "m/bag/probes.json")
    told = json.loads((tmp_path / "m/bag/probes.json").read_text())["sentiment"]
    assert [row["kind"] for row in told["kinds"]] == ["INV", "MFT", "DIR"]
    assert {row["capability"] for row in told["capabilities"]} >= {"negation", "case"}
    assert [len(row["by_seed"]) for row in told["kinds"]] == [3, 3, 3]
    case = next(row for row in told["capabilities"] if row["capability"] == "case")
    assert case["mean"] == 100.0  # the tokenizer lowers all letters
    assert len(told["runs"]) == 3
    assert told["mft_pass_rate"] == told["kinds"][1]["mean"]
    assert f"{told['probe_pass_rate']:.2f}" in said

    # What does not belong together is refused before any work.
    done = stage(tmp_path, "predict", "--variant", "bag", "raw", "bag/features",
                 "lstm/runs/1/model", "x")  # fmt: skip
    assert done.returncode == 1
    assert "lstm/runs/1/model: made with sentiment.model 'lstm', while the params" in done.stderr
    done = stage(tmp_path, "train", "--variant", "bag", "bag/features", "x", "y", "z", "t")
    assert done.returncode == 2
    assert "the following arguments are required: --seed" in done.stderr


def test_problems_of_all_sections_are_told_together(tmp_path: Path) -> None:
    write_data(tmp_path)
    write_params(tmp_path, train=OPTIMIZATION | {"epoch": 3}, tokenize={"max_length": 0})
    done = stage(tmp_path, "train", "--variant", "bag", "--seed", "1", *"abcde")
    assert done.returncode == 1
    assert "p.yaml: sentiment.train.epoch: unknown key, did you mean `epochs`?" in done.stderr
    done = stage(tmp_path, "tokenize", "--variant", "bag", "raw", "augmented", "f", "m.json")
    assert "p.yaml: sentiment.tokenize.max_length: input should be greater" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "f").exists()


def test_a_vocabulary_of_the_train_texts_keeps_upper_case_and_takes_no_pretrained_weights(
    tmp_path: Path,
) -> None:
    write_data(tmp_path)
    write_params(tmp_path, "lstm_cased")
    one = ("--variant", "lstm_cased")
    succeed(tmp_path, "tokenize", *one, "raw", "augmented", "features", "m/texts.json")
    tokenizer = load_tokenizer(tmp_path / "features" / "tokenizer")
    assert tokenizer.tokenize("SHIPS") != tokenizer.tokenize("ships")
    outputs = ("model", "curves", "costs.json", "times.json")
    succeed(tmp_path, "train", *one, "--seed", "1", "features", *outputs)
    assert load("lstm", tmp_path / "model").config.vocab_size == len(tokenizer)

    write_params(tmp_path, vocabulary="trained")
    done = stage(tmp_path, "train", "--variant", "bag", "--seed", "1", "features", *outputs)
    assert done.returncode == 1
    assert "sentiment.vocabulary: 'trained' has other ids than the pretrained" in done.stderr

    write_params(tmp_path)
    done = stage(tmp_path, "train", "--variant", "bag", "--seed", "1", "features", *outputs)
    assert done.returncode == 1
    assert "features: made with sentiment.vocabulary 'trained', while the params" in done.stderr
