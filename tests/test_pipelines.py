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
    """A stage of a sister pipeline; where it stands for several, one for all.

    Then `variant` is what stands for the name of one, and `method` for the choices of one.
    """

    folder: Path
    name: str
    variant: str | None
    method: str
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
    return [stage(folder, name, body) for name, body in found.items()]


def stage(folder: Path, name: str, body: dict[str, Any]) -> Stage:
    if "method" in body.get("matrix", {}):
        assert body["matrix"]["method"] == "${methods}"
        return Stage(folder, name, "${item.method.name}", "item.method", body)
    if "foreach" in body:
        assert body["foreach"] == "${methods}"
        return Stage(folder, name, "${key}", "item", body["do"])
    return Stage(folder, name, None, "", body)


STAGES = [
    pytest.param(stage, id=f"{folder.name} {stage.name}")
    for folder in FOLDERS
    for stage in stages(folder)
]


#: What methods differ in, besides the settings of `variants`: params that choose a module.
CHOICES = {
    "qa.model": "model",
    "sentiment.model": "model",
    "sentiment.augment.method": "augment",
}


def chosen(stage: Stage, name: str) -> str:
    """How a stage that stands for several methods tells what one has chosen."""
    for param, choice in CHOICES.items() if stage.variant else ():
        name = name.replace(f"${{{param}}}", f"${{{stage.method}.{choice}}}")
    return name


def test_there_are_sister_pipelines() -> None:
    assert [folder.name for folder in FOLDERS] == ["adapters", "language_model", "sentiment"]


@pytest.mark.parametrize("stage", STAGES)
def test_it_depends_on_its_script_and_all_that_that_imports(stage: Stage) -> None:
    code = {path for path in stage.paths("deps") if path.endswith(".py")}
    imported = {chosen(stage, file) for file in graph.imported_files(stage.script)}
    assert code == {stage.script.relative_to(ROOT).as_posix(), *imported}


@pytest.mark.parametrize("stage", STAGES)
def test_it_depends_on_the_params_that_it_reads(stage: Stage) -> None:
    file = f"pipelines/{stage.folder.name}/params.yaml"
    read = {chosen(stage, name) for name in graph.params_read(stage.script)}
    own = {f"variants.{stage.variant}"} if stage.variant else set()
    assert set(stage.params(file)) == read | own
    assert stage.arguments[1:3] == ["--params", file]
    told = ["--variant", stage.variant] if stage.variant else []
    assert stage.arguments[3 : 3 + len(told)] == told
    assert stage.arguments.count("--variant") == len(told) // 2


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
    if isinstance(methods, list):  # as a matrix takes them
        methods = {item["name"]: item for item in methods}
    return methods, params


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_variant_of_the_params_is_a_method_of_the_graph(folder: Path) -> None:
    methods, params = methods_and_params(folder)
    models = {name: changes.get("model") for name, changes in params["variants"].items()}
    assert {name: item.get("model") for name, item in methods.items()} == models


def test_what_a_method_of_adapters_is_built_on_is_a_dep_of_its_training() -> None:
    methods, params = methods_and_params(ROOT / "pipelines" / "adapters")
    for name, changes in params["variants"].items():
        model = changes["model"]
        section = params["qa"]["models"][model] | changes.get("models", {}).get(model, {})
        needed = [section["language"]] if section.get("language") else []
        needed += section.get("adapters", [])
        item = methods[name]
        told = {item["below"], item["beside"]} - {"data/adapters/features"}
        assert told == {bundle["path"] for bundle in needed}


def test_the_methods_of_sentiment_say_how_sentences_are_augmented() -> None:
    methods, params = methods_and_params(ROOT / "pipelines" / "sentiment")
    usual = params["sentiment"]["augment"]["method"]
    for name, changes in params["variants"].items():
        augment = changes.get("augment", {}).get("method", usual)
        assert methods[name]["augment"] == augment


def test_sentiment_is_trained_once_for_each_variant_and_seed() -> None:
    found = loaded(ROOT / "pipelines" / "sentiment" / "dvc.yaml")["stages"]
    by_seed = {name for name, body in found.items() if "seed" in body.get("matrix", {})}
    assert by_seed == {"train", "predict"}
    assert {found[name]["matrix"]["seed"] for name in by_seed} == {"${sentiment.seeds}"}
    assert "--seed ${item.seed}" in found["train"]["cmd"]
