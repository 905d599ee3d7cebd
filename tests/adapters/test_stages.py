"""The stage scripts of the adapters, run as a pipeline would run them."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from adapter_runs import LANGUAGE, OPTIMIZATION, PFEIFFER, base, write_data
from stage_runs import run_module


def write_params(folder: Path, **changes: Any) -> None:
    section = OPTIMIZATION | {"epochs": 1, "folder": "conll"}
    language = {"files": [], "block_size": 16, "masked": 0.3, "adapter": asdict(LANGUAGE)}
    entities = {
        "train": "train.conll", "validation": "validation.conll", "max_length": 32,
        "adapter": asdict(PFEIFFER),
    }  # fmt: skip
    values: dict[str, Any] = {
        "qa": {"seed": 1, "checkpoint": asdict(base(folder)) | {"name": "./encoder"}},
        "adapters": {"language": section | language, "entities": section | entities | changes},
    }
    (folder / "p.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def outputs(name: str) -> list[str]:
    ends = ("", ".json", "_curves", "_costs.json", "_times.json")
    return [f"data/{name}", *(f"metrics/{name}{end}" for end in ends[1:])]


def test_a_language_and_entities_on_top_of_it(tmp_path: Path) -> None:
    write_data(tmp_path)
    write_params(tmp_path)
    done = run_module(
        "stages.adapters.language", "--params", "p.yaml", "raw", *outputs("language"),
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("best epoch 1: perplexity ")
    assert "the encoder has no such head, so one was trained too" in done.stdout
    entities = [
        "stages.adapters.entities", "--params", "p.yaml", "--language", "data/language",
        *outputs("entities"),
    ]  # fmt: skip
    done = run_module(*entities, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.match(r"best epoch \d+: precision \d", done.stdout)
    manifest = json.loads((tmp_path / "data/entities/manifest.json").read_text())
    assert list(manifest["inputs"]) == ["language"]
    assert manifest["params"].keys() == {"qa.checkpoint"}
    for path in (*outputs("language"), *outputs("entities")):
        assert (tmp_path / path).exists(), path
    # Another encoder, by name, is refused before any work.
    write_params(tmp_path)
    text = (tmp_path / "p.yaml").read_text().replace("./encoder", "./other")
    (tmp_path / "p.yaml").write_text(text)
    done = run_module(*entities, folder=tmp_path)
    assert done.returncode == 1
    assert "data/language: made with qa.checkpoint {'name': './encoder'" in done.stderr


def test_problems_of_all_sections_and_files_are_sentences(tmp_path: Path) -> None:
    write_data(tmp_path)
    write_params(tmp_path, epoch=3, max_length=0)
    command = ["stages.adapters.entities", "--params", "p.yaml", *outputs("entities")]
    done = run_module(*command, folder=tmp_path)
    assert done.returncode == 1
    assert "p.yaml: adapters.entities.epoch: unknown key, did you mean `epochs`?" in done.stderr
    assert "(allowed: lr, " in done.stderr
    assert "p.yaml: adapters.entities.max_length: input should be greater" in done.stderr
    write_params(tmp_path)
    (tmp_path / "conll/train.conll").write_text("Ada S-PER\nsaw\n", encoding="utf-8")
    done = run_module(*command, folder=tmp_path)
    assert done.returncode == 1
    assert "conll/train.conll:1: the tag 'S-PER' belongs to IOBES" in done.stderr
    assert "conll/train.conll:2: no tag after 'saw'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data/entities").exists()
