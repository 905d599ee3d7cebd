"""dvc.yaml is the truth: its deps, params and paths are those of the code."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import graph
import pytest
import yaml
from graph import paths

from retune.tasks.qa.task import TASK

ROOT = Path(__file__).resolve().parent.parent
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("pipelines/*/dvc.yaml"))]
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
ALL = [
    *("check", "download", "tokenize", "tokenize_test", "train"),
    *("predict", "postprocess", "score", "analyse", "perturb", "validate"),
    *("calibrate", "confidence"),
]
#: What `check` writes: nothing reads it, so that it stands for the order alone.
CHECKED = "data/qa/checked.json"
SCORES = [figure.name for figure in TASK.compared]


def params(stage: dict[str, Any]) -> set[str]:
    return {each for each in stage["params"] if isinstance(each, str)}


def versions(stage: dict[str, Any]) -> set[str]:
    """Of another params file: `{versions.yaml: [torch, ...]}`."""
    (names,) = (each["versions.yaml"] for each in stage["params"] if isinstance(each, dict))
    assert names == sorted(set(names))
    return set(names)


def script(name: str) -> Path:
    (module,) = re.findall(r"-m ([\w.]+)", STAGES[name]["cmd"])
    return ROOT / f"{module.replace('.', '/')}.py"


def code(stage: dict[str, Any]) -> set[str]:
    """The rooms, scripts and chosen modules that a stage depends on."""
    return {path for path in paths(stage, "deps") if graph.is_code(path)}


def test_the_stages_stand_in_the_order_of_the_work() -> None:
    assert list(STAGES) == ALL
    made: set[str] = set()
    for stage in STAGES.values():
        assert {path for path in paths(stage, "deps") if path.startswith("data/")} <= made
        made |= {path for kind in ("outs", "metrics", "plots") for path in paths(stage, kind)}


@pytest.mark.parametrize("name", ALL)
def test_a_stage_depends_on_its_script_and_the_rooms_of_all_that_it_imports_and_on_no_other(
    name: str,
) -> None:
    assert len(graph.imported_files(script(name))) >= 5
    rooms = graph.rooms(script(name))
    assert code(STAGES[name]) == {script(name).relative_to(ROOT).as_posix(), *rooms}


@pytest.mark.parametrize("name", ["train", "predict"])
def test_costly_stages_depend_on_little_that_they_do_not_import(name: str) -> None:
    imported, others = graph.budget(script(name))
    assert others <= graph.BUDGET * imported


@pytest.mark.parametrize("name", ALL)
def test_a_stage_depends_on_exactly_the_params_that_it_reads(name: str) -> None:
    assert params(STAGES[name]) == graph.params_read(script(name))


@pytest.mark.parametrize("name", ALL)
def test_a_stage_depends_on_the_versions_of_the_libraries_that_it_uses(name: str) -> None:
    assert versions(STAGES[name]) == graph.versions(script(name))


@pytest.mark.parametrize("name", ALL)
def test_every_path_of_a_command_is_a_dep_or_an_output_and_every_one_is_used(name: str) -> None:
    stage = STAGES[name]
    program, *arguments = shlex.split(stage["cmd"].removeprefix("exec "))[2:]
    module = {"check": "stages.check", "tokenize_test": "stages.qa.tokenize"}
    assert program == module.get(name, f"stages.qa.{name}")
    declared = [p for kind in ("deps", "outs", "metrics", "plots") for p in paths(stage, kind)]
    data = [path for path in declared if not path.startswith(("src/", "stages/", "${"))]
    unnamed = {"check": ["params.yaml"], "download": [CHECKED]}.get(name, [])
    named = [word for word in arguments if not word.startswith("--")]
    assert sorted([*named, *unnamed]) == sorted(data)


@pytest.mark.parametrize("name", ALL)
def test_stage_scripts_are_thin(name: str) -> None:
    assert len(script(name).read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize("name", ALL)
def test_metrics_and_curves_are_in_git_and_keep_the_run_cache(name: str) -> None:
    stage = STAGES[name]
    assert all(isinstance(out, str) for out in stage.get("outs", [])), "plain cached outputs"
    for kind in ("metrics", "plots"):
        for out in stage.get(kind, []):
            assert next(iter(out.values()))["cache"] is False


def test_the_scores_are_the_only_columns_of_dvcs_tables() -> None:
    for stage in STAGES.values():
        for name in paths(stage, "metrics"):
            values = json.loads((ROOT / name).read_text(encoding="utf-8"))["qa"]
            plain = [key for key, value in values.items() if not isinstance(value, list)]
            assert plain == (SCORES if name == "metrics/qa.json" else [])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_chart_is_declared_with_title_axes_and_labels(folder: Path) -> None:
    graph_file = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))
    declared = [chart for each in graph_file["plots"] for chart in each.values()]
    for chart in declared:
        assert {"template", "title", "x", "y", "x_label", "y_label"} <= set(chart)
        assert (folder / f".dvc/plots/{chart['template']}.json").is_file()
    bodies = [body.get("do", body) for body in graph_file["stages"].values()]
    charts = [chart for body in bodies for each in body.get("plots", []) for chart in each.values()]
    for chart in charts:
        assert {"template", "title", "x", "y"} <= set(chart)


def test_editing_the_lstm_does_not_retrain_bert() -> None:
    train = code(STAGES["train"])
    named = [p for p in train if re.fullmatch(r"src/retune/tasks/qa/models/[a-z]\w*\.py", p)]
    assert named == []
    assert "src/retune/tasks/qa/models/${qa.model}.py" in train


def test_changing_n_best_answers_and_scores_again_only() -> None:
    readers = [name for name, stage in STAGES.items() if "qa.postprocess" in stage["params"]]
    assert readers == ["postprocess", "perturb", "validate", "calibrate"]
    assert "data/qa/predictions" in paths(STAGES["score"], "deps")


def test_the_bundled_corpus_is_a_dep_of_download() -> None:
    assert "src/retune/corpora/encyclopaedia" in paths(STAGES["download"], "deps")


def test_the_folder_of_ones_own_files_is_a_dep_of_download() -> None:
    assert "${qa.datasets.files.folder}" in paths(STAGES["download"], "deps")
