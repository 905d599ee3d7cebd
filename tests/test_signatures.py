"""dvc.yaml declares the paths of each stage as the signature of its script does."""

import copy
import shlex
from pathlib import Path
from typing import Any

import graph
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
GRAPHS = [ROOT / "dvc.yaml", *sorted(ROOT.glob("pipelines/*/dvc.yaml"))]


def stages(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    return {name: body.get("do", body) for name, body in found.items()}


def problems(body: dict[str, Any]) -> list[str]:
    module, *words = shlex.split(body["cmd"].removeprefix("exec python -m stages."))
    script = ROOT / f"stages/{module.replace('.', '/')}.py"
    return [*graph.misplaced(script, words, body)]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(body, id=f"{path.parent.name} {name}")
        for path in GRAPHS
        for name, body in stages(path).items()
    ],
)
def test_a_stage_declares_its_paths_as_its_script_does(body: dict[str, Any]) -> None:
    assert problems(body) == []


ENTITIES = {
    "cmd": "exec python -m stages.adapters.entities --language data/language --variant x "
    "data/entities m.json curves costs.json times.json",
    "deps": ["data/language"],
    "outs": ["data/entities"],
    "metrics": ["m.json", "costs.json", "times.json"],
    "plots": ["curves"],
}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"deps": []}, "language: data/language is not in deps"),
        ({"outs": []}, "bundle: data/entities is not in outs"),
        ({"plots": []}, "curves: curves is not in outs or metrics or plots"),
        ({"outs": ["data/entities", "x"]}, "outs: x is not written"),
        ({"outs": ["data/entities", "data/language"]}, "outs: data/language is not written"),
        ({"cmd": ENTITIES["cmd"] + " x"}, "'x'] and "),
        ({"cmd": ENTITIES["cmd"].replace("--language", "--raw")}, "{'raw': 'data/language'}"),
    ],
)  # fmt: skip
def test_a_path_that_is_declared_as_something_else_is_found(
    changes: dict[str, Any], problem: str
) -> None:
    assert problems(ENTITIES) == []
    (found,) = problems(copy.deepcopy(ENTITIES) | changes)
    assert problem in found


def test_a_folder_and_a_report_in_each_others_places_are_found() -> None:
    body = ENTITIES | {"metrics": ["data/entities", "costs.json", "times.json"], "outs": ["m.json"]}
    assert problems(body) == ["bundle: data/entities is not in outs"]
