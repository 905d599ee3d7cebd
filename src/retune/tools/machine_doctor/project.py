"""Examine the project: its lock, git, DVC, and the environment of the committed metrics."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.core.params import load_yaml
from retune.tables.metrics_files import figures_of
from retune.tools.machine_doctor.lock import LOCK, compare, installed, read_lock
from retune.tools.machine_doctor.machine_findings import Report
from retune.tools.project.commands import git

LIBRARIES = (
    "torch", "transformers", "tokenizers", "accelerate", "datasets", "safetensors", "numpy",
    "pyarrow", "dvc", "dvclive",
)  # fmt: skip
#: The file in which a run records its environment.
RECORD = "metrics/qa_times.json"
_MARKERS = re.compile(r"^(<{7}|={7}|>{7})", re.MULTILINE)


def examine_versions(report: Report, root: Path) -> None:
    """Add the versions of the main libraries and compare all packages with the lock."""
    there = installed()
    report.facts["versions"] = {"python": sys.version.split()[0]} | {
        name: there.get(name) for name in LIBRARIES
    }
    agreement = compare(read_lock(root / LOCK), there)
    report.facts["lock"] = {
        "as locked": agreement.same,
        "differing": [f"{n} {was} -> {now}" for n, (was, now) in agreement.differing.items()],
        "not installed": agreement.absent,
        "not in the lock": agreement.unknown,
    }
    if agreement.differing:
        count = len(agreement.differing)
        counted = "1 package differs" if count == 1 else f"{count} packages differ"
        pairs = [f"{n} {now} (lock: {was})" for n, (was, now) in agreement.differing.items()]
        report.find(
            "lock",
            f"{counted} from the tested version: {listed(pairs)}",
            f"`make environment`, or `pip install -c {LOCK} -e '.[dev]'`",
        )


def examine_git(report: Report, root: Path) -> None:
    """Check git, because experiments start from a commit."""
    commit = _git(root, "rev-parse", "--short", "HEAD")
    report.facts["git"] = {
        "commit": commit,
        "changed files": len((_git(root, "status", "--porcelain") or "").splitlines()),
    }
    if commit is None:
        report.find(
            "git",
            "there is no git commit here; experiments and sweeps start from one",
            "run `git init` if needed, and commit the project",
        )
        return
    lock = root / (_git(root, "rev-parse", "--git-path", "index.lock") or "")
    if lock.is_file():
        report.find(
            "git",
            f"{lock} exists: another git command is running, or one was killed",
            f"if none is running, remove it: `rm '{lock}'`",
        )


def examine_dvc(report: Report, root: Path) -> None:
    """Check for problems that stop `dvc repro` from starting."""
    report.facts["dvc"] = {"dvc.lock": _examine_dvc_lock(report, root / "dvc.lock")}
    held = list(_holders(report, root / ".dvc/tmp/rwlock"))
    report.facts["dvc"]["locks held by"] = sorted({f"{pid} ({cmd})" for pid, cmd in held})
    for pid, command in sorted(set(held)):
        _explain_holder(report, pid, command)


def examine_record(report: Report, root: Path) -> float | None:
    """Compare this environment with the committed metrics' one; return their peak memory in MB."""
    from retune.training.arguments import environment

    record = root / RECORD
    figures = _figures(record) if record.is_file() else {}
    recorded = _recorded(figures)
    if recorded is None:
        report.facts["figures"] = {"computed in": None}
        return None
    here = environment(_precision(root), 1)
    missing = [item for item in recorded if item not in here]
    other = [item for item in here if item not in recorded]
    report.equal_bytes = not (missing or other)
    report.facts["figures"] = {
        "equal bytes expected": "yes" if report.equal_bytes else "no",
        "computed with": missing or "the same",
        "here": other or "the same",
    }
    peak = figures_of({"qa": figures}).get("peak_memory_mb")
    return float(peak) if isinstance(peak, int | float) else None


def _examine_dvc_lock(report: Report, path: Path) -> str:
    """Add the exact problem with dvc.lock, which DVC itself only calls invalid."""
    if not path.is_file():
        return "none yet"
    text = path.read_text(encoding="utf-8", errors="replace")
    problem = None
    if not text.strip():
        problem = "is empty"
    elif _MARKERS.search(text):
        problem = "has git's conflict markers"
    else:
        try:
            if not isinstance(load_yaml(path).get("stages"), dict):
                problem = "has no stages"
        except RetuneError as error:
            problem = f"cannot be read ({error})"
    if problem:
        report.find(
            "dvc",
            f"dvc.lock {problem}, so DVC refuses to start",
            "`git checkout HEAD -- dvc.lock`, then `dvc repro`, which runs only changed stages",
        )
    return problem or "whole"


def _holders(report: Report, path: Path) -> Iterator[tuple[int, str]]:
    """Yield the processes in DVC's table of locks, with their commands."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        infos = list(held.get("write", {}).values())
        infos += [info for readers in held.get("read", {}).values() for info in readers]
        yield from ((int(info["pid"]), str(info["cmd"])) for info in infos if info)
    except FileNotFoundError:
        return
    except (ValueError, AttributeError, KeyError, TypeError):
        report.find(
            "dvc",
            f"{path} is damaged, so DVC refuses to start",
            f"when no dvc command is running, remove it: `rm '{path}'`",
        )


def _explain_holder(report: Report, pid: int, command: str) -> None:
    import psutil

    remove = "`rm .dvc/tmp/rwlock`"
    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        running = "" if zombie else " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        problem = f"process {pid} (`{command}`) was killed and left its locks behind"
        remedy = f"nothing: the next dvc command clears them; or {remove}"
    except psutil.AccessDenied:
        problem = f"process {pid} of another user holds locks (`{command}`)"
        remedy = f"wait for it; if it is not a dvc command, {remove}"
    else:
        if zombie:
            problem = f"process {pid} (`{command}`) has ended, but its parent has not noticed"
            remedy = f"end its parent; or, when no dvc command is running, {remove}"
        elif "dvc" in running:
            problem = f"process {pid} (`{command}`) is running and holds locks"
            remedy = f"wait for it, or stop it: `kill -INT {pid}`"
        else:
            problem = (
                f"process {pid} (`{command}`) was killed; DVC waits for another program that now "
                f"has its number (`{running}`)"
            )
            remedy = f"when no dvc command is running, {remove}"
    report.find("dvc", problem, remedy)


def _figures(path: Path) -> dict[str, Any]:
    from retune.core.files import read_json

    figures = read_json(path)
    return figures.get("qa", figures) if isinstance(figures, dict) else {}


def _recorded(value: Any) -> list[str] | None:
    """Return the list under the key `environment`, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("environment"), list):
            return list(map(str, value["environment"]))
        value = list(value.values())
    if isinstance(value, list):
        found = (_recorded(item) for item in value)
        return next((each for each in found if each is not None), None)
    return None


def _precision(root: Path) -> str:
    """Return the precision that `qa.train.precision` selects on this machine."""
    from retune.models.precision import resolved_precision

    return resolved_precision(load_yaml(root / "params.yaml")["qa"]["train"]["precision"])


def _git(root: Path, *arguments: str) -> str | None:
    try:
        return git(root, *arguments)
    except (FileNotFoundError, RetuneError):  # no git, or no repository
        return None
