"""The sister pipelines' dvc.yaml are the truth, too: deps, params and paths are the code's."""

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import graph
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = sorted(path.parent for path in ROOT.glob("pipelines/*/dvc.yaml"))


class Stage(NamedTuple):
    """A stage of a sister pipeline; where it stands for several, one for all."""

    folder: Path
    name: str
    many: bool
    body: dict[str, Any]

    @property
    def arguments(self) -> list[str]:
        """The command's words behind `exec python -m`."""
        return shlex.split(self.body["cmd"].removeprefix("exec python -m "))

    @property
    def module(self) -> str:
        return self.arguments[0]

    @property
    def script(self) -> Path:
        return ROOT / f"{self.module.replace('.', '/')}.py"

    def paths(self, kind: str) -> list[str]:
        return graph.paths(self.body, kind)

    def params(self, file: str) -> list[str]:
        (names,) = (entry[file] for entry in self.body["params"] if file in entry)
        return list(names)


def loaded(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def stages(folder: Path) -> list[Stage]:
    found = loaded(folder / "dvc.yaml")["stages"]
    return [
        Stage(folder, name, "foreach" in body, body.get("do", body)) for name, body in found.items()
    ]


STAGES = [
    pytest.param(stage, id=f"{folder.name} {stage.name}")
    for folder in FOLDERS
    for stage in stages(folder)
]


def chosen(name: str) -> str:
    """How a stage that stands for several methods tells the model."""
    return name.replace("${qa.model}", "${item.model}")


def test_there_is_a_sister_pipeline() -> None:
    assert [folder.name for folder in FOLDERS] == ["adapters"]


@pytest.mark.parametrize("stage", STAGES)
def test_it_depends_on_its_script_and_all_that_that_imports(stage: Stage) -> None:
    code = {path for path in stage.paths("deps") if path.endswith(".py")}
    imported = {chosen(file) for file in graph.imported_files(stage.script)}
    assert code == {stage.script.relative_to(ROOT).as_posix(), *imported}


@pytest.mark.parametrize("stage", STAGES)
def test_it_depends_on_the_params_that_it_reads(stage: Stage) -> None:
    file = f"pipelines/{stage.folder.name}/params.yaml"
    read = {chosen(name) for name in graph.params_read(stage.script)}
    assert set(stage.params(file)) == read | ({"variants.${key}"} if stage.many else set())
    assert stage.arguments[1:3] == ["--params", file]
    assert ("--variant" in stage.arguments) == stage.many


@pytest.mark.parametrize("stage", STAGES)
def test_it_depends_on_the_versions_of_the_libraries_that_it_uses(stage: Stage) -> None:
    assert stage.params("versions.yaml") == sorted(graph.versions(stage.script))


@pytest.mark.parametrize("stage", STAGES)
def test_its_command_names_what_it_declares(stage: Stage) -> None:
    assert stage.body["wdir"] == "../.."
    assert stage.body["cmd"].startswith("exec ")
    words = [word for word in stage.arguments[3:] if re.search(r"^(data|pipelines)/", word)]
    kinds = ("deps", "outs", "metrics", "plots")
    declared = [path for kind in kinds for path in stage.paths(kind)]
    plain = [path for path in declared if not path.startswith(("src/", "stages/", "${"))]
    assert sorted(words) == sorted(plain)


def methods_and_params(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The methods that a graph goes through, and all of its params."""
    graph_file, params = map(loaded, (folder / "dvc.yaml", folder / "params.yaml"))
    (methods,) = (each["methods"] for each in graph_file["vars"] if "methods" in each)
    return methods, params


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_variant_of_the_params_is_a_method_of_the_graph(folder: Path) -> None:
    methods, params = methods_and_params(folder)
    models = {name: changes["model"] for name, changes in params["variants"].items()}
    assert {name: item["model"] for name, item in methods.items()} == models


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_a_method_is_built_on_is_a_dep_of_its_training(folder: Path) -> None:
    methods, params = methods_and_params(folder)
    for name, changes in params["variants"].items():
        model = changes["model"]
        section = params["qa"]["models"][model] | changes.get("models", {}).get(model, {})
        needed = [section["language"]] if section.get("language") else []
        needed += section.get("adapters", [])
        item = methods[name]
        told = {item["below"], item["beside"]} - {"data/adapters/features"}
        assert told == {bundle["path"] for bundle in needed}
