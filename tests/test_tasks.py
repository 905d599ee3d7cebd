"""What tasks declare fits together, and with the project."""

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
from graph import ROOT

from retune.core.params import VARIANTS, load_yaml, parameters
from retune.tasks.task import Figure, costs, figures, main_task, tasks
from retune.tools.project.graph import folders

TASKS = tasks()


def section_of(params: dict[str, Any], name: str) -> Any:
    for key in name.split("."):
        params = params[key]
    return params


@pytest.mark.parametrize("name", TASKS)
def test_sections_rules_and_documents_of_a_task_are_there(name: str) -> None:
    task = TASKS[name]
    params = ROOT / task.folder / "params.yaml"
    assert isinstance(section_of(load_yaml(params), task.section), dict)
    assert set(task.rules) <= parameters(params).keys()
    assert all((ROOT / document).is_file() for document in task.documents)


@pytest.mark.parametrize("name", TASKS)
def test_modules_that_a_task_names_are_there(name: str) -> None:
    task = TASKS[name]
    modules = [task.report, task.asker.module if task.asker else None]
    assert all(importlib.util.find_spec(module) for module in modules if module)


def test_every_section_of_params_belongs_to_a_task() -> None:
    for folder in folders(ROOT).values():
        declared = {task.section.partition(".")[0] for task in TASKS.values()}
        assert load_yaml(ROOT / folder / "params.yaml").keys() <= {*declared, VARIANTS}


def test_the_main_pipeline_has_one_task_and_ranks_by_one_of_its_scores() -> None:
    assert [name for name, task in TASKS.items() if not task.folder] == ["qa"]
    assert main_task().ranking in {figure.name for figure in main_task().compared}


@pytest.mark.parametrize("told", [figures, costs])
def test_a_figure_has_one_heading_and_unit_in_all_tasks(
    told: Callable[[], dict[str, Figure]],
) -> None:
    declared = [f for task in TASKS.values() for f in (*task.figures, task.rate) if f]
    for figure in declared:
        if one := told().get(figure.name):
            assert (one.heading, one.unit) == (figure.heading, figure.unit)


def test_columns_stand_in_the_order_of_each_task() -> None:
    places = {name: place for place, name in enumerate(figures())}
    for task in TASKS.values():
        own = [places[figure.name] for figure in task.figures]
        assert own == sorted(own)
