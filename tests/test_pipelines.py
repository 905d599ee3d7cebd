"""The sister pipelines' dvc.yaml are the truth, too: deps, params and paths are the code's."""

import os
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import graph
import pytest
import yaml

from retune.tasks.task import tasks

ROOT = Path(__file__).resolve().parent.parent
CHECKED = "data/checked.json"
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
        """The command's words behind the launcher of stages."""
        return shlex.split(self.body["cmd"].removeprefix("exec python -m stages."))

    @property
    def script(self) -> Path:
        return ROOT / f"stages/{self.arguments[0].replace('.', '/')}.py"

    def paths(self, kind: str) -> list[str]:
        return graph.paths(self.body, kind)

    def params(self, file: str) -> list[str]:
        found = [entry[file] for entry in self.body["params"] if file in entry]
        assert len(found) <= 1
        return list(*found)


def loaded(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def stages(folder: Path) -> list[Stage]:
    found = loaded(folder / "dvc.yaml")["stages"]
    return [stage(folder, name, body) for name, body in found.items()]


def stage(folder: Path, name: str, body: dict[str, Any]) -> Stage:
    if "method" in body.get("matrix", {}):
        assert body["matrix"]["method"] == "${names}"
        return Stage(folder, name, "${item.method}", "", body)
    if "foreach" in body:
        assert body["foreach"] == "${methods}"
        return Stage(folder, name, "${key}", "item", body["do"])
    return Stage(folder, name, None, "", body)


STAGES = [
    pytest.param(stage, id=f"{folder.name} {stage.name}")
    for folder in FOLDERS
    for stage in stages(folder)
]


#: A choice of a module by a param, in a path or in the name of a section.
CHOICE = re.compile(r"[/.]\$\{[\w.]+\}.*")


def chosen(stage: Stage, names: set[str]) -> set[str]:
    """How a stage that stands for several methods names what one of them may choose.

    With `foreach` the methods have the model that each chooses. DVC cannot look up what the
    name in a matrix chooses, so all modules that there are, and all sections, are deps.
    """
    if stage.method:
        return {name.replace("${qa.model}", f"${{{stage.method}.model}}") for name in names}
    if not stage.variant:
        return names
    every: set[str] = set()
    for name in names:
        place = CHOICE.sub("", name)
        if place == name:
            every.add(name)
        elif "/" in name:
            files = sorted((ROOT / place).glob("*.py"))
            every |= {f"{place}/{file.name}" for file in files if graph.has_code(file)}
        else:
            every.add(place)
    return every


def test_there_are_sister_pipelines() -> None:
    declared = {task.folder for task in tasks().values()} - {""}
    assert [folder.relative_to(ROOT).as_posix() for folder in FOLDERS] == sorted(declared)


@pytest.mark.parametrize("stage", STAGES)
def test_it_depends_on_its_script_and_the_rooms_of_all_that_that_imports(stage: Stage) -> None:
    code = {path for path in stage.paths("deps") if graph.is_code(path)}
    rooms = chosen(stage, graph.rooms(stage.script))
    assert code == {stage.script.relative_to(ROOT).as_posix(), *rooms}


COSTLY = ("train", "predict", "generate", "language", "entities")


@pytest.mark.parametrize("stage", [each for each in STAGES if each.values[0].name in COSTLY])
def test_costly_stages_depend_on_little_that_they_do_not_import(stage: Stage) -> None:
    imported, others = graph.budget(stage.script)
    assert others <= graph.BUDGET * imported


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_links_of_a_sister_lead_to_the_code(folder: Path) -> None:
    """By them DVC finds the code inside the sister's own repository, and ignores `__pycache__`."""
    assert {name: os.readlink(folder / name) for name in ("src", "stages")} == {
        "src": "../../src",
        "stages": "../../stages",
    }
    assert "__pycache__/" in (folder / ".dvcignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("stage", STAGES)
def test_it_depends_on_the_params_that_it_reads(stage: Stage) -> None:
    read = chosen(stage, graph.params_read(stage.script))
    own = {f"variants.{stage.variant}"} if stage.variant else set()
    assert set(stage.params("params.yaml")) == read | own
    told = ["--variant", stage.variant] if stage.variant else []
    assert stage.arguments[1 : 1 + len(told)] == told
    assert stage.arguments.count("--variant") == len(told) // 2


@pytest.mark.parametrize("stage", STAGES)
def test_it_depends_on_the_versions_of_the_libraries_that_it_uses(stage: Stage) -> None:
    assert stage.params("../../versions.yaml") == sorted(graph.versions(stage.script))


@pytest.mark.parametrize("stage", STAGES)
def test_its_command_names_what_it_declares(stage: Stage) -> None:
    assert stage.body["cmd"].startswith("exec python -m stages.")
    words = [word for word in stage.arguments[1:] if re.search(r"^(data|metrics)/", word)]
    kinds = ("deps", "outs", "metrics", "plots")
    declared = [path for kind in kinds for path in stage.paths(kind)]
    plain = [path for path in declared if not path.startswith(("../../", "src/", "stages/", "${"))]
    # Of the stage `check`: params.yaml, which all read, and its output, which nothing reads.
    ordering = {"check": ["params.yaml"], "download": [CHECKED], "entities": [CHECKED]}
    assert sorted([*words, *ordering.get(stage.name, [])]) == sorted(plain)


def graph_and_params(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `vars` of a graph, by name, and all of its params."""
    graph_file, params = map(loaded, (folder / "dvc.yaml", folder / "params.yaml"))
    names = {key: value for each in graph_file.get("vars", []) for key, value in each.items()}
    return names, params


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_variant_of_the_params_is_a_method_of_the_graph(folder: Path) -> None:
    names, params = graph_and_params(folder)
    if "variants" not in params:
        assert not names
        return
    if "names" in names:
        assert set(names["names"]) == set(params["variants"])
        return
    models = {name: changes["model"] for name, changes in params["variants"].items()}
    assert {name: item["model"] for name, item in names["methods"].items()} == models


def test_what_a_method_of_adapters_is_built_on_is_a_dep_of_its_training() -> None:
    names, params = graph_and_params(ROOT / "pipelines" / "adapters")
    methods = names["methods"]
    for name, changes in params["variants"].items():
        model = changes["model"]
        section = params["qa"]["models"][model] | changes.get("models", {}).get(model, {})
        needed = [section["language"]] if section.get("language") else []
        needed += section.get("adapters", [])
        item = methods[name]
        told = {item["below"], item["beside"]} - {"data/features"}
        assert told == {bundle["path"] for bundle in needed}


def test_sentiment_is_trained_once_for_each_variant_and_seed() -> None:
    found = loaded(ROOT / "pipelines" / "sentiment" / "dvc.yaml")["stages"]
    by_seed = {name for name, body in found.items() if "seed" in body.get("matrix", {})}
    assert by_seed == {"train", "predict"}
    assert {found[name]["matrix"]["seed"] for name in by_seed} == {"${sentiment.seeds}"}
    assert "--seed ${item.seed}" in found["train"]["cmd"]
