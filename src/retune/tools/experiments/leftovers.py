"""Remains of experiments whose process was killed.

`dvc exp run --temp` records no process. So DVC shows a killed experiment as running for ever, with
the baseline's figures and above all others, and `dvc exp remove` does not find it.
"""

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_RUNNING = 2  # the last status of DVC's before an experiment has ended


@dataclass(frozen=True)
class Leftover:
    """An experiment whose process is gone: its name, its temporary copy, and DVC's record of it."""

    name: str
    copy: Path
    note: Path


def killed(project: Path, name: str | None = None) -> list[Leftover]:
    """Return the killed experiments of a DVC project, or only the one called `name`."""
    folder = project.resolve() / ".dvc/tmp/exps"
    found = [_leftover(file) for file in sorted(folder.glob("run/*/*.run"))]
    open_ = [x for x in found if x and x.copy.is_relative_to(folder / "standalone")]
    if not open_:
        return []
    processes = _processes()
    if any(_is_starting(cwd, words, project, folder) for cwd, words in processes):
        return []  # a run that has not yet entered its copy
    return [
        leftover
        for leftover in open_
        if name in {None, leftover.name}
        and not any(cwd.is_relative_to(leftover.copy) for cwd, _ in processes)
    ]


def may_be_unfinished(project: Path) -> bool:
    """Return whether DVC keeps a queue, or a copy or record of an experiment that runs."""
    folder = project / ".dvc/tmp/exps"
    places = ("celery", "run/workspace", "standalone/tmp*")
    return not (project / ".dvc").is_dir() or any(
        path for place in places for path in folder.glob(place)
    )


def remove_killed(project: Path, name: str, seconds: float = 20.0) -> None:
    """Remove the remains of a killed experiment as soon as its stage has ended, too."""
    end = time.monotonic() + seconds
    while not (found := killed(project, name)) and time.monotonic() < end:
        time.sleep(0.2)
    remove(found)


def remove(found: Iterable[Leftover]) -> None:
    """Remove the remains of killed experiments."""
    for leftover in found:
        shutil.rmtree(leftover.copy, ignore_errors=True)
        shutil.rmtree(leftover.note, ignore_errors=True)


def _leftover(file: Path) -> Leftover | None:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        copy, status = Path(told["root_dir"]).resolve(), told["status"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_open = copy.is_dir() and isinstance(status, int) and status <= _RUNNING
    return Leftover(str(told.get("name")), copy, file.parent) if is_open else None


def _processes() -> list[tuple[Path, list[str]]]:
    """Return the folder and command line of every process that we may inspect."""
    import psutil

    told = [process.info for process in psutil.process_iter(["cwd", "cmdline"])]
    return [(Path(p["cwd"]), p["cmdline"] or []) for p in told if p["cwd"]]


def _is_starting(cwd: Path, words: list[str], project: Path, folder: Path) -> bool:
    is_here = cwd.is_relative_to(project.resolve()) and not cwd.is_relative_to(folder)
    return is_here and "exp" in words and "run" in words
