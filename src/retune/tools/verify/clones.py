"""Clone the last commit into a temporary folder and run DVC there."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from retune.core.errors import RetuneError, listed
from retune.tools.project.commands import DVC, dvc, git, last_lines, uncommitted

_RUNNING = re.compile(r"^Running stage '(.+)':$")


def project_root() -> Path:
    """Return the top folder of the git repository around the current folder."""
    root = Path(git(Path(), "rev-parse", "--show-toplevel"))
    if not (root / "dvc.lock").is_file():
        raise RetuneError(f"{root}: there is no dvc.lock to verify; run `dvc repro` and commit it")
    return root


def commit_of(root: Path) -> str:
    """Return the full hash of the last commit."""
    return git(root, "rev-parse", "HEAD")


def require_committed(root: Path) -> None:
    """Raise an error if tracked files differ from the last commit."""
    if changed := uncommitted(root):
        raise RetuneError(
            f"changed since the last commit, which this command verifies: {listed(changed)}; "
            "commit or stash them first, or compare the last run by --here"
        )


@contextmanager
def clean_clone(root: Path, sharing: str | None = None) -> Iterator[Path]:
    """Yield a temporary clone of the last commit.

    Its DVC cache is empty, and so is what DVC remembers of files elsewhere. With `sharing`, the
    DVC project in that folder has the cache that it has in `root`.
    """
    cache = "cache" if sharing is None else _cache(root / sharing)
    with TemporaryDirectory(prefix="retune-verify-") as top:
        clone = Path(top).resolve() / "clone"
        git(root, "clone", "--quiet", "--local", "--no-checkout", str(root), str(clone))
        git(clone, "checkout", "--quiet", "--detach", commit_of(root))
        local = clone / (sharing or "") / ".dvc" / "config.local"
        local.write_text(f"[cache]\n    dir = {cache}\n", encoding="utf-8")
        if sharing is None:
            _bring_data(root, clone)
        yield clone


def repro(clone: Path, log: Path, bar: "tqdm[Any]", *, force: bool = True) -> float:
    """Run `dvc repro` with its output in `log`; return the seconds that it took.

    DVC's cache of runs is not used. With `force`, up-to-date stages run, too.

    Raises:
        RetuneError: a stage fails; the message has the last lines of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    options = ["--no-run-cache", *(["--force"] if force else [])]
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [*DVC, "repro", *options],
            cwd=clone, env=_environment(clone), text=True, encoding="utf-8", errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            for line in process.stdout or ():
                file.write(line)
                if running := _RUNNING.match(line):
                    bar.set_postfix_str(running[1])
        finally:  # Ctrl-C also reaches DVC: wait for its end
            code = process.wait()
    if code:
        raise RetuneError(f"`dvc repro` failed in a clean clone; see {log}:\n{last_lines(log)}")
    return time.monotonic() - began


def run_again(folder: Path, stages: Iterable[str]) -> str:
    """Run only these stages of the DVC project in `folder`; return what they print.

    Raises:
        RetuneError: one of them fails.
    """
    options = ("--quiet", "--single-item", "--force", "--no-run-cache")
    return dvc(folder, "repro", *options, *stages, env=_environment(folder))


def checkout(folder: Path, paths: Sequence[str]) -> bool:
    """Check out what the cache has of a DVC project; return whether `paths` are there."""
    # Without targets, because DVC takes seconds for each one; it fails if any output is missing.
    subprocess.run(
        [*DVC, "checkout", "--quiet"],
        cwd=folder, env=_environment(folder), capture_output=True, check=False,
    )  # fmt: skip
    return all((folder / path).exists() for path in paths)


def _bring_data(root: Path, clone: Path) -> None:
    """Copy the data that `dvc add` tracks from the project's cache."""
    if added := git(clone, "ls-files", "*.dvc").splitlines():
        env = _environment(clone)
        dvc(clone, "remote", "add", "--local", "verified", _cache(root), env=env)
        dvc(clone, "pull", "--quiet", "--remote", "verified", *added, env=env)


def _cache(folder: Path) -> str:
    return dvc(folder, "cache", "dir", env=_environment(folder))


def _environment(folder: Path) -> dict[str, str]:
    """Return our environment with this Python first on the PATH and its own DVC site cache."""
    programs = str(Path(sys.executable).parent)
    return os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
    }
