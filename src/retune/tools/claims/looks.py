"""How often the test questions were looked at: each set of predictions that was scored on them.

Who scores many variants on the same questions and reports the best one reports luck, too. The
count says how much of it there may be.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yaml import YAMLError

from retune.core.errors import RetuneError
from retune.core.params import load_yaml
from retune.tools.claims.project import NAME
from retune.tools.project import locks
from retune.tools.project.commands import dvc, git

#: What the score stage reads: the test questions, and the predictions.
TEST, PREDICTIONS = "data/qa/test", "data/qa/predictions"
DIGITS = 8  # of an MD5


def looks(root: Path) -> set[str]:
    """Return the predictions that were scored on the test questions of the last run.

    They are known from the ledger, from every commit and experiment in git, and from the runs that
    DVC's cache remembers. Predictions are named by the first digits of their MD5; the same ones
    count once.
    """
    test = _test_of(root)
    if test is None:
        return set()
    found = set(recorded(root).get(test, ()))
    for stage in (*_in_git(root, test), *cached_runs(cache_of(root))):
        sums = sums_of(stage)
        if sums.get(TEST) == test and PREDICTIONS in sums:
            found.add(sums[PREDICTIONS][:DIGITS])
    return found


def recorded(root: Path) -> dict[str, list[str]]:
    """Return the predictions in the ledger by the MD5 of the test questions."""
    rows = load_yaml(root / NAME).get("looks", ()) if (root / NAME).is_file() else ()
    return {row["test"]: list(row["predictions"]) for row in rows}


def _test_of(root: Path) -> str | None:
    """Return the MD5 of the test questions in dvc.lock; None if nothing was scored."""
    with contextlib.suppress(RetuneError):
        return sums_of(locks.Lock(root, "").stages.get("score", {})).get(TEST)
    return None


def sums_of(stage: Mapping[str, Any]) -> dict[str, str]:
    """Return the MD5 of each dep of a stage in a lock, by path."""
    return {str(dep.get("path")): str(dep.get("md5")) for dep in stage.get("deps", ())}


def _in_git(root: Path, test: str) -> Iterator[Mapping[str, Any]]:
    """Yield the score stage in every dvc.lock of git's history that names the test questions."""
    with contextlib.suppress(RetuneError):  # not in a repository
        for commit in git(root, "log", "--all", "--format=%H", "--", "dvc.lock").split():
            text = git(root, "show", f"{commit}:./dvc.lock")
            if test in text:
                with contextlib.suppress(YAMLError, AttributeError, RetuneError):
                    yield locks.parse(text)["stages"]["score"]


def cache_of(root: Path) -> Path | None:
    """Return the folder of DVC's cache; None outside of a DVC project."""
    with contextlib.suppress(RetuneError):
        return root / dvc(root, "cache", "dir")
    return None


def cached_runs(cache: Path | None) -> Iterator[Mapping[str, Any]]:
    """Yield the runs that DVC's cache remembers, in the form of stages in dvc.lock."""
    for path in (cache / "runs").glob("??/*/*") if cache else ():
        with contextlib.suppress(OSError, YAMLError, AttributeError, ValueError):
            run = locks.parse(path.read_text(encoding="utf-8"))
            if isinstance(run, dict):
                yield run
