"""The first four stage scripts of the language model, run as the pipeline would run them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from language_runs import OPTIMIZATION, TOKENIZE
from stage_runs import ROOT, run_module

from retune.core.params import load_yaml

NAMES = ["download", "tokenize", "start", "train"]
PARAMS = ROOT / "pipelines" / "language_model" / "params.yaml"
PLACES = {
    "download": ["raw", "metrics/texts.json"],
    "tokenize": ["raw", "features", "metrics/blocks.json"],
    "start": ["features", "before"],
    "train": ["features", "before", "after", "metrics/curves", "metrics/costs.json",
              "metrics/times.json"],
}  # fmt: skip


def stage(folder: Path, name: str, **more: str) -> subprocess.CompletedProcess[str]:
    arguments = [f"stages.language_model.{name}", "--params", "p.yaml", *PLACES[name]]
    return run_module(*arguments, folder=folder, **more)


def write_params(folder: Path, **changes: Any) -> None:
    """The pipeline's own params, smaller."""
    values = load_yaml(PARAMS)
    values["language_model"] |= {
        "train": OPTIMIZATION | {"epochs": 1, "batch_size": 64},
        "tokenize": TOKENIZE | {"block_size": 64},
    } | changes  # fmt: skip
    values["language_model"]["models"]["gpt2_small"] |= {"layers": 1, "hidden_size": 16}
    (folder / "p.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def test_the_download_starts_without_the_libraries_of_models() -> None:
    done = subprocess.run(
        [sys.executable, "-c",
         "import sys, stages.language_model.download; print(*sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ).stdout.split()  # fmt: skip
    assert "stages.language_model.download" in done
    assert not set(done) & {"torch", "transformers", "datasets", "pandas", "dvc"}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder in which all four stages have run on the bundled stories, and what they said."""
    folder = tmp_path_factory.mktemp("stages")
    write_params(folder)
    said = {}
    for name in NAMES:
        done = stage(folder, name)
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout
    return folder, said


def test_the_stages_run_one_after_the_other(ended: tuple[Path, dict[str, str]]) -> None:
    folder, said = ended
    assert said["download"] == "train 106 texts, validation 24 texts\n"
    assert "; 24 pairs; 300 tokens in the vocabulary\n" in said["tokenize"]
    assert said["start"].endswith(" parameters, 256 positions, 300 tokens\n")
    assert said["train"].startswith("best epoch 1: perplexity ")
    for places in PLACES.values():
        assert all((folder / path).exists() for path in places)
    manifests = {name: json.loads((folder / name / "manifest.json").read_text())
                 for name in ("raw", "features", "before", "after")}  # fmt: skip
    assert [sorted(manifest["inputs"]) for manifest in manifests.values()] == [
        [], ["raw"], ["features"], ["before", "features"],
    ]  # fmt: skip
    assert list(manifests["features"]["params"]) == ["language_model.checkpoint"]
    assert sorted(manifests["before"]["params"]) == [
        "language_model.checkpoint", "language_model.model",
    ]  # fmt: skip
    assert list(manifests["after"]["params"]) == ["language_model.model"]  # for `retune ask`


def test_two_processes_train_by_the_setting_of_the_launch(
    ended: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, _ = ended
    write_params(tmp_path)
    for name in ("features", "before"):
        (tmp_path / name).symlink_to(folder / name)
    options = f"--config_file {ROOT}/configs/launch/cpu.yaml --num_processes 2"
    done = stage(tmp_path, "train", RETUNE_LAUNCH=options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("best epoch 1: perplexity ")
    one, two = (
        json.loads((f / "metrics/costs.json").read_text())["language_model"]
        for f in (folder, tmp_path)
    )
    assert one["details"][0]["train_blocks"] == two["details"][0]["train_blocks"]
    times = json.loads((tmp_path / "metrics/times.json").read_text())["language_model"]
    assert "2 processes" in times["details"][0]["environment"]


def test_folders_that_do_not_belong_together_are_refused(
    ended: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, _ = ended
    write_params(tmp_path, tokenize=TOKENIZE | {"block_size": 32})
    for name in ("raw", "before"):
        (tmp_path / name).symlink_to(folder / name)
    assert stage(tmp_path, "tokenize").returncode == 0
    done = stage(tmp_path, "train")
    assert done.returncode == 1
    assert "before: made from other features than features; run `dvc repro`" in done.stderr


def test_problems_of_all_sections_are_told_at_once(tmp_path: Path) -> None:
    write_params(tmp_path, seed=-1, model="gpt3")
    done = stage(tmp_path, "start")
    assert done.returncode == 1
    assert "p.yaml: language_model.seed: input should be greater" in done.stderr
    assert "language_model.model: no 'gpt3'; allowed: gpt2_small, pretrained" in done.stderr
    write_params(tmp_path, dataset="squad")
    done = stage(tmp_path, "download")
    assert "language_model.dataset: no 'squad'; allowed: bundled, coqa, files" in done.stderr
    write_params(tmp_path, tokenize=TOKENIZE | {"block_sise": 3})
    done = stage(tmp_path, "tokenize")
    assert "tokenize.block_sise: unknown key, did you mean `block_size`?" in done.stderr
    assert "Traceback" not in done.stderr
