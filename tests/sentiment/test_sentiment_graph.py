"""The graph of sentiment by DVC, with the variant that the README tells how to add."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import ROOT, Project
from translators import WORDS, write_translator

from retune.core.files import sha256

pytestmark = pytest.mark.slow

PIPELINE = "pipelines/sentiment"
SENTENCES = [(f"{a} {b}", number % 2) for a in WORDS for number, b in enumerate(WORDS[:5])]
BREVITY = {"there": 8.0, "back": 7.0}  # of the translators: such that some of what they say ends


def recipe() -> list[str]:
    """The YAML of the README's section on back-translation."""
    text = (ROOT / PIPELINE / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Back-translation$(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)


def test_a_variant_by_back_translation_runs_as_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "cache"))
    project = Project(tmp_path, forked=True)
    more_variants, names = recipe()
    (name,) = (variants := yaml.safe_load(more_variants)["variants"])
    augment = variants[name]["augment"]["methods"]["back_translation"]
    for direction, checkpoint in augment["pivots"]["french"].items():
        folder = tmp_path / "translators" / direction
        written = write_translator(folder, seed=1, brevity=BREVITY[direction])
        checkpoint |= {"name": f"../../translators/{direction}", "revision": written.revision}
    augment["max_length"] = 32  # such models have 64 positions
    write_sentences(tmp_path / "own")
    set_params(tmp_path, variants)
    add_names(tmp_path / PIPELINE / "dvc.yaml", names)

    printed = project.run("dvc", "--cd", PIPELINE, "repro", f"score@{name}")

    ran = re.findall(r"^Running stage '(\S+)'", printed, re.MULTILINE)
    suffixed = [f"{stage}@{name}" for stage in ("augment", "tokenize", "score")]
    seeded = [f"{stage}@{name}-7" for stage in ("train", "predict")]
    assert sorted(ran) == sorted(["check", "download", *suffixed, *seeded])
    metrics = tmp_path / PIPELINE / "metrics" / name
    (counts,) = read(metrics / "augment.json")["augment"]["methods"]
    assert counts.pop("method") == "back_translation_french"
    assert sum(counts.values()) == len(SENTENCES)
    assert counts["taken"] > 0
    assert 0 <= read(metrics / "scores.json")["accuracy"] <= 100


def write_sentences(folder: Path) -> None:
    for split, prefix in (("train", ""), ("validation", "year ")):
        lines = [f"{label}\t{prefix}{text}\n" for text, label in SENTENCES]
        (folder / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")


def set_params(folder: Path, variants: dict[str, Any]) -> None:
    """Own sentences, the tiny encoder, one seed, and more variants."""
    path = folder / PIPELINE / "params.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["variants"] |= variants
    task = values["sentiment"]
    task |= {"dataset": "files", "seeds": [7]}
    task["datasets"]["files"] |= {"folder": "../../own", "header": False, "text": 2, "label": 1}
    pin = sha256(folder / "encoder/model.safetensors")
    task["checkpoint"] = {"name": "../../encoder", "revision": pin}
    task["train"] |= {"epochs": 1, "batch_size": 4, "precision": "fp32"}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def add_names(path: Path, names: str) -> None:
    """Put the recipe's `vars` in the place of the graph's."""
    text = path.read_text(encoding="utf-8")
    _, stages = text.split("\nstages:\n")
    path.write_text(f"{names}\nstages:\n{stages}", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["sentiment"]
    return values
