"""Rooms: each module lives in one, and an import never leads up. An edit then re-runs little."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import graph
import pytest
from graph import ROOT, imported_files

SOURCE = ROOT / "src" / "retune"
#: Rooms from the lowest to the highest floor; `corpora` holds data and no code.
FLOORS = (
    *("core", "stats", "tables", "fetch", "ingest", "models", "adapters", "processes"),
    *("training", "tasks", "preflight", "inference", "tools"),
)
#: Rooms of a task that import another task's room, and why.
ACROSS = {
    # Language adapters are trained on the contexts of questions and on sentences with entities.
    ("tasks/masked_lm/train", "tasks/qa/questions"),
    ("tasks/masked_lm/train", "tasks/ner/texts"),
}
STAGES = sorted(path for path in (ROOT / "stages").rglob("[a-z]*.py"))
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "corpora" not in path.parts)


def room(path: Path) -> str:
    return path.parent.relative_to(SOURCE).as_posix()


def arrows() -> Iterator[tuple[str, str]]:
    """(room, room) for each import from one room to another."""
    for path in MODULES:
        for file in graph.direct_imports(path):
            target = room(ROOT / file)
            if target not in (".", room(path)):
                yield room(path), target


ARROWS = sorted(set(arrows()))


def test_nothing_is_loose_at_the_root() -> None:
    assert [path.name for path in SOURCE.glob("*.py")] == ["__init__.py"]
    folders = {path.name for path in SOURCE.iterdir() if list(path.rglob("*.py"))}
    assert folders == {*FLOORS, "corpora"}


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES} - {SOURCE}), ids=room)
def test_each_room_says_what_lives_there(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert text is not None
    assert text.split("\n")[0].endswith(".")


def test_an_import_never_leads_up() -> None:
    up = [
        (above, below)
        for below, above in ARROWS
        if FLOORS.index(above.split("/")[0]) > FLOORS.index(below.split("/")[0])
    ]
    assert not up


def test_no_rooms_import_each_other() -> None:
    targets: dict[str, set[str]] = {}
    for start, end in ARROWS:
        targets.setdefault(start, set()).add(end)
    assert list(TopologicalSorter(targets).static_order())  # raises CycleError, which names them


def test_no_task_imports_another() -> None:
    tasks = [(a, b) for a, b in ARROWS if a.startswith("tasks/") and b.startswith("tasks/")]
    assert {(a, b) for a, b in tasks if a.split("/")[1] != b.split("/")[1]} == ACROSS


@pytest.mark.parametrize("stage", ["sentiment/train", "sentiment/predict", "language_model/train"])
def test_what_has_no_adapters_imports_none(stage: str) -> None:
    """Else an edit of the adapters' code would train these models again."""
    files = imported_files(ROOT / "stages" / f"{stage}.py")
    assert not [file for file in files if file.startswith("src/retune/adapters/")]


@pytest.mark.parametrize("stage", STAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_stage_imports_the_tools_or_what_tasks_declare(stage: Path) -> None:
    """Else an edit of a command, or a new column of a table, would run the stage again."""
    files = imported_files(stage)
    assert not [file for file in files if file.startswith("src/retune/tools/")]
    assert not [file for file in files if file.endswith("/task.py")]


def test_perplexity_imports_no_search() -> None:
    """How texts are continued changes nothing in how likely a model finds them."""
    files = imported_files(ROOT / "stages" / "language_model" / "perplexity.py")
    search = ("generation", "decoding", "beams", "processors")
    folder = "src/retune/tasks/language_model/generate"
    assert all((ROOT / f"{folder}/{name}.py").is_file() for name in search)
    assert not files & {f"{folder}/{name}.py" for name in search}
