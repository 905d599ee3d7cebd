"""`retune report`: gather the report, write it, and print one line about it."""

import importlib
import json
import textwrap
from argparse import Namespace
from collections.abc import Container, Iterator, Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType

from retune.core.errors import RetuneError, listed
from retune.core.files import atomic_path
from retune.core.terminal_text import say
from retune.tasks.task import tasks
from retune.tools.compare.systems import System
from retune.tools.project.graph import SISTERS, Pipeline, folders, joined, read_pipeline
from retune.tools.project.locks import Lock, outdated_stages, outs_of_all
from retune.tools.report import figures, provenance, results, settings
from retune.tools.report.content import IN_SHORT, Block, Part, Remark, Report, section
from retune.tools.report.page import INDEX
from retune.tools.report.sources import PREDICTIONS, TEST, Reader, read_json

MAIN = "qa"  # the pipeline at the project's top
_WIDTH = 80


def run(arguments: Namespace, root: Path = Path(".")) -> int:
    """Write the pages, or print their content as JSON; return 0, also for a report with gaps."""
    if not arguments.json:
        _require_folder(arguments.out)
    report = gather(root, arguments.pipeline, arguments.against)
    if arguments.json:
        print(json.dumps(report.as_data(), indent=2, sort_keys=True))
        return 0
    # The index is of all pipelines, also if only some of their pages are written.
    whole = _completed(root, report) if arguments.pipeline else report
    write(arguments.out, whole, {each.name for each in report.parts})
    index = arguments.out / INDEX
    say(textwrap.fill(f"{index}: {_counted(report)}", _WIDTH, break_long_words=False))
    return 0


def gather(root: Path, names: Sequence[str] = (), against: str | None = None) -> Report:
    """Return the report on the project in `root`.

    Args:
        root: the project's top.
        names: of pipelines; without any, all of them.
        against: a system that the answers of the last run are shown beside.

    Raises:
        RetuneError: `root` is not the project's folder, or has no pipeline of a name, or there is
            no such system.
    """
    if not (root / "dvc.yaml").is_file():
        raise RetuneError("there is no dvc.yaml here; run this in the project's folder")
    known = folders(root)
    if unknown := [name for name in names if name not in known]:
        raise RetuneError(
            f"no pipeline {listed(unknown)}; there are: {', '.join(known)} (the folders of "
            f"{SISTERS}/)"
        )
    chosen = {name: folder for name, folder in known.items() if not names or name in names}
    system = None if against is None else _rival(root, against, chosen)
    parts = tuple(part(root, name, folder, system) for name, folder in chosen.items())
    return Report(provenance.of_project(root), parts)


def _completed(root: Path, report: Report) -> Report:
    """Add the parts on the pipelines that a report leaves out."""
    there = {each.name: each for each in report.parts}
    parts = (there.get(name) or part(root, name, at) for name, at in folders(root).items())
    return Report(report.provenance, tuple(parts))


def _rival(root: Path, name: str, chosen: Container[str]) -> System:
    """Return the system that is compared with the last run, question by question.

    Raises:
        RetuneError: there is no such run, or it cannot be compared with the last one.
    """
    from retune.tools.compare.sources import WORKSPACE, Sources
    from retune.tools.compare.systems import require_comparable

    if MAIN not in chosen:
        raise RetuneError(f"--against is about question answering: add {MAIN} to --pipeline")
    files = name if (root / name).is_file() else name.rpartition("=")[2]
    if all((root / each).is_file() for each in files.split(",")):
        return Sources(_rules_of_the_last_run(root)).read(name)
    sources = Sources(Namespace(folder=root, data=None))
    rival = sources.read(name)
    require_comparable([sources.read(WORKSPACE), rival])
    return rival


def _rules_of_the_last_run(root: Path) -> Namespace:
    """Return by which questions and rules a predictions file is scored as the last run was."""
    manifest = read_json(root, f"{PREDICTIONS}/manifest.json")
    (details, *_) = read_json(root, "metrics/qa.json")["qa"]["details"]
    return Namespace(
        folder=root, data=root / TEST, squad_v2=manifest["params"]["qa.squad_v2"],
        normalizer=details["normalizer"], missing="zero",
    )  # fmt: skip


def write(folder: Path, report: Report, names: Container[str] | None = None) -> None:
    """Write the index and the pages, or those in `names`, into `folder`; other files in it stay."""
    from retune.tools.report.page import pages

    for name, text in pages(report, names).items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")


def part(root: Path, name: str, folder: str, against: System | None = None) -> Part:
    """Return the part on one pipeline; if its dvc.yaml is damaged, only that fault."""
    try:
        pipeline = read_pipeline(root, name, folder)
    except RetuneError as error:
        broken = Pipeline(name, folder, "", (), (), (), ())
        fault = section("Results", [Remark(str(error), "fault")])
        return Part(name, broken.about, broken.command, tuple(fault))
    lock = Lock(root, pipeline.folder)
    reader = Reader(root, pipeline, against, _outdated(lock, pipeline.folder))
    found = results.read_metrics(reader)
    modules = [*_task_modules(folder)]
    claimed = [shown for module in modules for shown in module.CLAIMED]
    added = [one for module in modules for one in module.add(reader, found)]
    sections = [
        *([one for one in added if one.title == IN_SHORT] or results.in_short(found)),
        *results.results(found),
        *(one for one in added if one.title != IN_SHORT),
        *figures.charts(reader, claimed),
        *results.lists(found, claimed),
        *settings.settings(root, pipeline, lock),
        *provenance.of_pipeline(lock, found, pipeline.command),
    ]
    # Gaps come first, but are known only after everything was read.
    gaps: list[Block] = [*reader.remarks()]
    return Part(name, pipeline.about, pipeline.command, (*section("Gaps", gaps), *sections))


def _outdated(lock: Lock, folder: str) -> frozenset[str]:
    """Return the outputs, from the project's top, that are not of the last run."""
    try:
        stages = lock.stages
        outs = outs_of_all(stages, outdated_stages(stages))
    except RetuneError:
        return frozenset()  # the provenance has the fault
    return frozenset(joined(PurePosixPath(folder), path) for path in outs)


def _task_modules(folder: str) -> Iterator[ModuleType]:
    """Yield the report modules of a pipeline's tasks."""
    for task in tasks().values():
        if task.folder == folder and task.report:
            yield importlib.import_module(task.report)


def _require_folder(path: Path) -> None:
    if path.suffix == ".html" or (path.exists() and not path.is_dir()):
        raise RetuneError(f"--out {path}: name a folder for the pages, such as report")


def _counted(report: Report) -> str:
    kinds = [block.kind for block in report.blocks]
    tables, remarks = kinds.count("table"), kinds.count("remark")
    others = len(kinds) - tables - remarks
    gaps = sum(isinstance(b, Remark) and b.tone != "plain" for b in report.blocks)
    counts = [
        _plural(len(report.parts), "pipeline"),
        _plural(tables, "table"),
        _plural(others, "figure"),
        _plural(gaps, "gap"),
    ]
    return ", ".join(counts)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
