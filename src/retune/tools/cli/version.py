"""The version of the code that runs, for reports of faults."""

from pathlib import Path

import retune
from retune.core.errors import RetuneError
from retune.tools.project.commands import git


def version(package: Path | None = None) -> str:
    """Return `retune` and its version; in a checkout also its commit, and whether files changed.

    Args:
        package: the folder of the code; by default that of the imported `retune`.
    """
    commit = _commit(package or Path(retune.__file__).parent)
    return f"retune {retune.__version__}{commit}"


def _commit(package: Path) -> str:
    try:
        # An environment inside some repository is none of its files.
        git(package, "ls-files", "--error-unmatch", "__init__.py")
        commit = git(package, "rev-parse", "--short", "HEAD")
        changed = git(package, "status", "--porcelain", "--", ".")
    except (OSError, RetuneError):  # no git, no repository, or no commit
        return ""
    return f" (commit {commit}{', with changes' if changed else ''})"
