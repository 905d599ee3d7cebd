"""A new task is a folder with a task.py, and a new metric one figure: nothing else is edited."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_projects import Page, blocks_of, project, whole, write

import retune.tasks
from retune.core.manifests import seal
from retune.tasks import task as tasks_module
from retune.tasks.qa import task as qa
from retune.tasks.task import Figure, askers, tasks
from retune.tools.claims import ledger
from retune.tools.cli.main import main
from retune.tools.experiments import seed_groups
from retune.tools.experiments.table import render, workspace_row
from retune.tools.report.command import gather
from retune.tools.report.sister_experiments import (
    Result,
    compared,
    fold_seeds,
)

TASK = """
from retune.tasks.task import Asker, Figure, Task

TASK = Task(
    section="toy",
    folder="pipelines/toy",
    figures=(
        Figure("silhouette", "silhouette of clusters", "score", compared="higher"),
        Figure("inertia", compared="lower"),
    ),
    rate=Figure("train_points_per_second", "points/s"),
    rules=("toy.clusters",),
    asker=Asker("cluster", "toy_asker", "a point", "pipelines/toy/params.yaml", "toy_model"),
    report="toy_sections",
)
"""
ASKER = """
from retune.tools.ask.asking import Reply

def asker(settings, folder, context):
    return lambda text: Reply(f"{text} is in cluster {settings.values['toy']['clusters']}", {})
"""
SECTIONS = """
from retune.tools.report.content import Remark, section

CLAIMED = ("confusion.csv",)

def add(reader, found):
    return section("Clusters", [Remark("Three clusters were found.")])
"""
FOLDERS = "import sys, retune.tasks; retune.tasks.__path__.append('tasks'); sys.path.append('.');"
RUN = "from retune.tools.cli.main import main; sys.exit(main(sys.argv[1:]))"


def forget() -> None:
    for cached in (tasks_module.tasks, tasks_module.figures, tasks_module.costs):
        cached.cache_clear()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a toy task: its package, its asker, its sections, its figures."""
    project(tmp_path)
    write(tmp_path / "tasks/toy/__init__.py", "")
    write(tmp_path / "tasks/toy/task.py", TASK)
    write(tmp_path / "toy_asker.py", ASKER)
    write(tmp_path / "toy_sections.py", SECTIONS)
    for folder in (tmp_path, tmp_path / "pipelines/toy"):
        (folder / ".dvc").mkdir()
    params = "toy: {seeds: [1, 2, 3], clusters: 3}\nvariants: {plain: {}, fancy: {}}\n"
    write(tmp_path / "pipelines/toy/params.yaml", params)
    for name, value in {"plain": 61.5, "fancy": 72.5}.items():
        figures = {"aaa": 1.0, "silhouette": value, "inertia": 0.25, "train_points_per_second": 8.0}
        write(tmp_path / f"pipelines/toy/metrics/{name}/scores.json", {"toy": figures})
    monkeypatch.setattr(retune.tasks, "__path__", [*retune.tasks.__path__, str(tmp_path / "tasks")])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    forget()
    yield tmp_path
    forget()
    for name in ("retune.tasks.toy", "retune.tasks.toy.task", "toy_asker", "toy_sections"):
        sys.modules.pop(name, None)


def test_the_table_knows_a_planted_task(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "toy" in tasks()
    assert main(["table", "--pipeline", "toy", "--json"]) == 0
    scores, costs, *_ = json.loads(capsys.readouterr().out)
    heading = ["method", "silhouette of clusters", "aaa", "inertia"]
    assert [*scores["rows"][0]] == heading  # what has a heading comes first
    assert [row["silhouette of clusters"] for row in scores["rows"]] == [61.5, 72.5]
    assert "points/s" in costs["rows"][0]


def test_the_report_knows_it_and_its_own_section(toy: Path) -> None:
    report = gather(toy, ["toy"])
    (part,) = report.parts
    assert "Clusters" in [section.title for section in part.sections]
    assert not blocks_of(report, "matrix")  # the toy's section claims its confusion.csv
    assert "silhouette of clusters" in Page(whole(report)).text


def test_its_model_is_asked(toy: Path) -> None:
    assert "cluster" in askers()
    (toy / "toy_model").mkdir()
    seal(toy / "toy_model", {"inputs": {}, "params": {}})
    command = [sys.executable, "-c", FOLDERS + RUN, "ask", "--task", "cluster", "A point"]
    done = subprocess.run(command, cwd=toy, capture_output=True, text=True, check=True)
    assert done.stdout == "A point is in cluster 3\n"


def test_its_experiments_are_compared_by_its_figures(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {"silhouette", "inertia"} <= compared().keys()
    results = [
        Result(
            f"{name}-seed={seed}",
            variant={"method": name},
            figures={"silhouette": value + seed, "inertia": 0.5},
            data="",
            params={"toy.seed": seed},
        )
        for name, value in (("low", 10.0), ("high", 20.0))
        for seed in (1, 2, 3)
    ]
    variants = fold_seeds(results, "toy.seed")
    seed_groups.report(variants, figures=compared())
    printed = capsys.readouterr().out
    assert "silhouette of clusters" in printed
    assert "inertia" in printed
    gaps = seed_groups.as_json(variants, figures=compared())["gaps"]
    assert [(gap["key"], gap["better"]) for gap in gaps] == [("silhouette", "high high")]


def test_its_figures_can_be_claimed(toy: Path) -> None:
    raw = {"path": "data/raw", "md5": "0123.dir"}
    locked = {"download": {"params": {"params.yaml": {"toy.clusters": 3}}, "outs": [raw]}}
    write(toy / "pipelines/toy/dvc.lock", {"stages": locked})
    write(toy / "dvc.lock", {"stages": {}})
    source = "pipelines/toy/metrics/plain/scores.json"
    claim = {
        "kind": "reproduced", "what": "Clusters", "pipeline": "pipelines/toy", "data": "0123.dir",
        "params": ledger.digest(ledger.Sister(toy, "pipelines/toy").params),
        "sources": {source: ledger.md5(toy / source)},
        "values": {f"{source}#toy/silhouette": 61.5},
    }  # fmt: skip
    write(toy / "claims.yaml", {"claims": {"clusters": claim}})
    assert ledger.problems(toy, ledger.load(toy)) == []


@pytest.fixture
def metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose QA scores have one number more, for which task.py has one figure more."""
    project(tmp_path)
    figures = (*qa.TASK.figures, Figure("recall_at_5", "R@5", "score", compared="higher"))
    changed = dataclasses.replace(qa.TASK, figures=figures)
    monkeypatch.setattr(qa, "TASK", changed)
    scores = {"exact_match": 40.0, "f1": 50.25, "recall_at_5": 77.75}
    costs = {"parameters": 9000000, "trained_parameters": 9000000}
    times = {"train_seconds": 60.0, "train_windows_per_second": 9.5}
    for name, values in {"": scores, "_costs": costs, "_times": times}.items():
        write(tmp_path / f"metrics/qa{name}.json", {"qa": values})
    write(tmp_path / "dvc.lock", {"stages": {"train": {"params": {"params.yaml": LSTM}}}})
    forget()
    yield tmp_path
    forget()


LSTM = {"qa.model": "lstm"}


def test_the_table_shows_a_planted_metric(metric: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = workspace_row(metric)
    assert row["qa.recall_at_5"] == 77.75
    render([row], as_json=False)
    heading, values = capsys.readouterr().out.splitlines()
    assert heading.split()[2:5] == ["EM", "F1", "R@5"]
    assert values.split()[2:5] == ["40.00", "50.25", "77.75"]


def test_so_do_the_report_and_the_spread_over_seeds(
    metric: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = blocks_of(gather(metric, ["qa"]), "table")
    rows = [row for table in tables for row in table.rows if "R@5" in row]
    assert [value.value for *_, value in rows] == [77.75]
    shown = [
        {"name": f"a-seed={seed}", "qa.seed": seed, "qa.model": "a", "qa.recall_at_5": 70.0}
        for seed in (1, 2, 3)
    ]
    seed_groups.report(seed_groups.fold(shown, ["qa.seed", "qa.model"], seed_param="qa.seed"))
    assert "R@5" in capsys.readouterr().out
