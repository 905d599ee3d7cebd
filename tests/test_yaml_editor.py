"""Changed params files, against DVC's own way to change them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from retune.core.errors import RetuneError
from retune.core.params import load_yaml
from retune.tools.experiments.experiments import Experiment, HydraValue
from retune.tools.experiments.grid import python_value
from retune.tools.project.yaml_editor import edited, set_values

ROOT = Path(__file__).resolve().parent.parent
TEXT = "# about\nqa:\n  lr: 3e-5 # slow\n  part: {x: 1, y: [a, b]}\n  none:\n"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("qa.lr", HydraValue("1e-4")),
        ("qa.lr", HydraValue("'1e-4'")),
        ("qa.part", HydraValue("{x:2}")),
        ("qa.part", {"y": ["it's", None, True]}),
        ("qa.part", {}),
        ("qa.part", 1),
        ("qa.part.y", [{"path": "a b"}]),
        ("qa.none", {"new": {"deep": 1.5}}),
    ],
)
def test_the_values_are_those_that_dvc_sets(key: str, value: Any, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yaml"
    for path in (ours, theirs):
        path.write_text(TEXT, encoding="utf-8")
    set_values(ours, {key: python_value(value)})
    apply_overrides(theirs, Experiment("one", {key: value}).overrides())
    assert load_yaml(ours) == load_yaml(theirs)
    assert ours.read_text(encoding="utf-8").startswith("# about\n")


@pytest.mark.parametrize("values", [{"qa.lrr": 1}, {"qa.lr.x": 1}, {"x": 1}, {"qa.part": {"z": 1}}])
def test_a_key_that_is_not_there_is_refused(values: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    with pytest.raises(RetuneError, match=rf"params.yaml: {next(iter(values))}: unknown key"):
        set_values(path, values)
    assert path.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("name", ["params.yaml", "claims.yaml", "pipelines/adapters/params.yaml"])
def test_a_file_is_written_as_dvc_writes_it(name: str, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yaml"
    for path in (ours, theirs):
        shutil.copy(ROOT / name, path)
    with edited(ours) as document:
        document["new"] = 1
    with modify_yaml(theirs) as document:
        document["new"] = 1
    assert ours.read_bytes() == theirs.read_bytes()
