"""Run git and DVC as commands; return their output or raise their error."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from retune.core.errors import RetuneError

#: `python -m dvc` of this environment, whatever stands on the PATH.
DVC = (sys.executable, "-m", "dvc")


def dvc(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run `dvc` in `folder` and return its output without the last line end.

    Raises:
        RetuneError: it fails.
    """
    return _printed(folder, "dvc", DVC, arguments, env)


def git(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run `git` in the same way."""
    return _printed(folder, "git", ["git"], arguments, env)


def uncommitted(folder: Path) -> list[str]:
    """Return the tracked files that differ from the last commit, in the repository of `folder`.

    Raises:
        RetuneError: there is no repository.
    """
    lines = git(folder, "status", "--porcelain", "--untracked-files=no").splitlines()
    return [line[3:] for line in lines]  # behind two letters that say how


def _printed(
    folder: Path,
    name: str,
    program: Sequence[str],
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
) -> str:
    command = [*program, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip() or done.stdout.strip()
        raise RetuneError(f"{name} {' '.join(arguments)}: {reason}")
    return done.stdout.rstrip("\n")


def last_lines(log: Path, count: int = 8) -> str:
    """Return the last lines of a log, without overwritten progress bars."""
    lines = log.read_bytes().decode("utf-8", errors="replace").split("\n")
    shown = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in lines]
    return "\n".join([line for line in shown if line][-count:])
