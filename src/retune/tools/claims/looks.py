"""How often the test questions were looked at: each set of predictions that was scored on them.

Who scores many variants on the same questions and reports the best one reports luck, too. The
count says how much of it there may be.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from yaml import YAMLError

from retune.core.errors import RetuneError
from retune.core.params import load_yaml
from retune.tools.claims.project import NAME
from retune.tools.project import locks
from retune.tools.project.cache import Cache
from retune.tools.project.commands import git

#: Last parts of the folders that a score stage reads: the test questions, and the predictions.
TEST, PREDICTIONS = "test", "predictions"
DIGITS = 8  # of an MD5
#: Test questions by their MD5, and the predictions that were scored on them.
Ledger = dict[str, set[str]]


def looks(root: Path, folder: str = "") -> set[str]:
    """Return the predictions that were scored on the test questions of a pipeline's last run.

    They are known from the ledger, from every commit and experiment in git, and from the runs that
    DVC's cache remembers. Predictions are named by the first digits of their MD5; the same ones
    count once.

    Args:
        root: the project's top.
        folder: of the pipeline, from there.
    """
    return looks_at(_last(root, folder), root, folder)


def looks_at(tests: Ledger, root: Path, folder: str = "") -> set[str]:
    """Return the predictions that were scored on these test questions, and those in `tests`."""
    return set().union(*_counted(tests, root, folder).values())


def told(count: int) -> str:
    """Say how often the test questions were looked at."""
    times = "once" if count == 1 else f"{count} times"
    return (
        f"The test questions were looked at {times}: that many different sets of answers have been "
        "scored on them."
    )


def recorded(root: Path) -> Ledger:
    """Return what claims.yaml says."""
    rows = load_yaml(root / NAME).get("looks") if (root / NAME).is_file() else None
    return {row["test"]: set(row["predictions"]) for row in rows or ()}


def stated(root: Path, folder: str = "") -> int:
    """Return how many looks claims.yaml has at the test questions of a pipeline's last run."""
    known = recorded(root)
    return len(set().union(*(known.get(test, set()) for test in _last(root, folder))))


def missing(root: Path, folders: Iterable[str]) -> list[str]:
    """Return the pipelines whose last run has a look that claims.yaml lacks."""
    known = recorded(root)
    return [
        folder
        for folder in folders
        if any(not found <= known.get(test, set()) for test, found in _last(root, folder).items())
    ]


def rows(root: Path, folders: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rows for claims.yaml: those that it has, and all looks of these pipelines."""
    counted = recorded(root)
    for folder in folders:
        counted |= _counted(_last(root, folder), root, folder)
    return [{"test": test, "predictions": sorted(found)} for test, found in counted.items()]


def _counted(tests: Ledger, root: Path, folder: str) -> Ledger:
    """Return `tests` with all looks that are known at each of them."""
    known = recorded(root)
    counted = {test: known.get(test, set()) | new for test, new in tests.items()}
    if counted:
        for stage in (*_in_git(root, folder, counted), *Cache(root / folder).runs()):
            _count(stage, counted)
    return counted


def _last(root: Path, folder: str) -> Ledger:
    """Return the looks in dvc.lock; nothing if it is missing or damaged."""
    found: Ledger = {}
    with contextlib.suppress(RetuneError):
        for stage in locks.Lock(root, folder).stages.values():
            _count(stage, found, new=True)
    return found


def _count(stage: Mapping[str, Any], counted: Ledger, *, new: bool = False) -> None:
    """Add the predictions to the test questions that a stage scored them on."""
    sums = {PurePosixPath(path).name: md5 for path, md5 in locks.sums_of(stage).items()}
    if {TEST, PREDICTIONS} <= sums.keys() and (new or sums[TEST] in counted):
        counted.setdefault(sums[TEST], set()).add(sums[PREDICTIONS][:DIGITS])


def _in_git(root: Path, folder: str, tests: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the stages in each dvc.lock of git's history that names the test questions."""
    with contextlib.suppress(RetuneError):  # not in a repository
        for commit in git(root / folder, "log", "--all", "--format=%H", "--", "dvc.lock").split():
            with contextlib.suppress(YAMLError, AttributeError, KeyError, RetuneError):
                text = git(root / folder, "show", f"{commit}:./dvc.lock")
                if any(test in text for test in tests):
                    yield from locks.parse(text)["stages"].values()
