"""What several tasks share stands in no task's package: an edit there would train others again."""

import re
from pathlib import Path

import pytest
from graph import ROOT, imported_files

SOURCE = ROOT / "src" / "retune"
TASKS = "qa|adapters|language_model|sentiment"
#: Who imports from a task's package nevertheless, and why.
ALLOWED = {
    "adapters/language.py": "qa",  # language adapters are trained on the contexts of questions
    "cli.py": "qa",  # `retune doctor` is of files of questions, and imported when it is called
    "report/additions/_answers.py": "qa",  # what a report adds is of one task
    "report/additions/sentiment.py": "sentiment",  # likewise
    "verify/claimed.py": "qa",  # scores the stored answers of the claims again, when it is called
}
#: Modules and packages of the command line, by the paths of their files below `SOURCE`.
COMMAND_LINE = (
    *("cli", "ask", "table", "sweep", "grid", "listing", "effects", "experiments", "folding"),
    *("commands", "workspace", "leftovers", "report", "verify", "claims", "environment"),
    "qa/doctor",
)
STAGES = sorted(path for path in (ROOT / "stages").rglob("[a-z]*.py"))


def test_no_task_imports_from_another_and_the_rest_from_none() -> None:
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        imports = rf"^\s*(?:from|import) retune(?:\.| import \(?\s*)({TASKS})\b"
        tasks = set(re.findall(imports, path.read_text(encoding="utf-8"), re.MULTILINE))
        if others := tasks - {name.split("/")[0]}:
            found[name] = others
    assert found == {name: {task} for name, task in ALLOWED.items()}


@pytest.mark.parametrize("stage", ["sentiment/train", "sentiment/predict", "language_model/train"])
def test_what_has_no_adapters_imports_none(stage: str) -> None:
    """Else an edit of the adapters' code would train these models again."""
    files = imported_files(ROOT / "stages" / f"{stage}.py")
    adapters = ("bundles.py", "borrowing.py", "layers/adapters.py")
    assert not files & {f"src/retune/{name}" for name in adapters}


@pytest.mark.parametrize("stage", STAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_stage_imports_the_command_line(stage: Path) -> None:
    """Else an edit of a command would run the stage again."""
    names = "|".join(COMMAND_LINE)
    pattern = rf"src/retune/(({names})(/.*)?|cli_\w+)(\.py)?"
    assert not [file for file in imported_files(stage) if re.fullmatch(pattern, file)]


def test_the_command_line_has_these_modules() -> None:
    for name in COMMAND_LINE:
        assert (SOURCE / f"{name}.py").is_file() or (SOURCE / name).is_dir(), name


def test_perplexity_imports_no_search() -> None:
    """How texts are continued changes nothing in how likely a model finds them."""
    files = imported_files(ROOT / "stages" / "language_model" / "perplexity.py")
    search = ("generation", "decoding", "beams", "processors")
    assert not files & {f"src/retune/language_model/{name}.py" for name in search}
