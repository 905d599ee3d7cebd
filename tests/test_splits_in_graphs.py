"""No stage but those that score reads the test questions, or what is made of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from graph import paths

ROOT = Path(__file__).resolve().parent.parent
#: Each graph with stages of question answering, and the folder of its data.
GRAPHS = {ROOT: "data/qa", ROOT / "pipelines/adapters": "data"}
READERS = {"tokenize_test", "predict", "postprocess", "score"}
#: Those of the main graph alone.
EXPLAINING = {"analyse", "confidence", "perturb"}
OUTPUTS = ("outs", "metrics", "plots")


def readers_of(folder: Path) -> set[str]:
    return READERS | (EXPLAINING if folder == ROOT else set())


def stages(folder: Path) -> dict[str, dict[str, Any]]:
    graph = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in graph.items()}


def written(stage: dict[str, Any]) -> set[str]:
    return {path for kind in OUTPUTS for path in paths(stage, kind)}


@pytest.mark.parametrize("folder", GRAPHS, ids=lambda folder: folder.name)
def test_only_the_stages_that_score_read_the_test_questions(folder: Path) -> None:
    found = stages(folder)
    test = f"{GRAPHS[folder]}/test"
    assert [name for name, stage in found.items() if test in written(stage)] == ["download"]
    tainted, readers = {test}, set[str]()
    for _ in found:  # until what they write and read adds nothing
        for name, stage in found.items():
            if tainted & set(paths(stage, "deps")):
                readers.add(name)
                tainted |= written(stage)
    assert readers == readers_of(folder)
    assert {f"{GRAPHS[folder]}/test_features", test} < tainted


@pytest.mark.parametrize("folder", GRAPHS, ids=lambda folder: folder.name)
def test_every_command_that_names_them_declares_them(folder: Path) -> None:
    for name, stage in stages(folder).items():
        words = stage["cmd"].split()
        named = {word for word in words if word.startswith(f"{GRAPHS[folder]}/test")}
        assert bool(named) == (name in {*readers_of(folder), "download"})
        assert named <= {*paths(stage, "deps"), *written(stage)}


@pytest.mark.parametrize("folder", GRAPHS, ids=lambda folder: folder.name)
def test_train_and_its_features_come_from_the_other_splits(folder: Path) -> None:
    found = stages(folder)
    top = GRAPHS[folder]
    assert f"{top}/raw" in paths(found["train"], "deps")
    assert f"{top}/raw" in paths(found["tokenize"], "deps")
    assert {f"{top}/raw", f"{top}/features"} <= set(paths(found["validate"], "deps"))
