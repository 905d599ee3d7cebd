"""Run the tests that depend on what differs from main: `python tests/near.py [--list]`.

A test module depends on what it imports, directly or not, and on the modules, files and folders
that it or its helpers name in a string. In doubt, a test runs. Other arguments go to pytest.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
from closure import ROOT, Project, parsed

BASE = "main"
#: What every test depends on.
COMMON = ("pyproject.toml", "requirements.lock")
#: What no copy of the project needs that runs its pipelines.
ASIDE = ("docs/*", "tests/*", "bench/*", "tools/*", ".*", "*.md", "claims.yaml", "Makefile")
#: Modules that name all folders and that no test reads them by.
READERS = ("closure.py", "near.py")
MODULE = re.compile(r"\b(?:retune|stages|bench)\.[\w.]*\w|\b(?:retune|stages|bench)\.(?!\w)")


def git(root: Path, *arguments: str) -> list[str]:
    """Return the names that a command of git prints, one a line or ended by zero bytes."""
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return [name for name in re.split("[\0\n]", done.stdout) if name]


def changed_files(root: Path, base: str = BASE) -> set[str]:
    """Return what differs from where this branch left `base`: committed, edited or untracked."""
    (start,) = git(root, "merge-base", base, "HEAD")
    edited = git(root, "diff", "--name-only", "--no-renames", "-z", start)
    return {*edited, *git(root, "ls-files", "-z", "--others", "--exclude-standard")}


@cache
def strings(path: Path) -> frozenset[str]:
    """Return the strings in a module; of an f-string, its fixed parts."""
    if path.name in READERS:
        return frozenset()
    values = (node.value for node in ast.walk(parsed(path)) if isinstance(node, ast.Constant))
    return frozenset(value for value in values if isinstance(value, str))


@cache
def named_modules(project: Project, path: Path) -> set[Path]:
    """Return the modules whose names stand in strings; a package stands for all in it."""
    texts = strings(path)
    names = {name.rstrip(".") for text in texts for name in MODULE.findall(text)}
    if not project.is_test_code(path):  # messages and docstrings name modules, too
        names &= texts
    found = {file for name in names for file in project.files(name)[-1:]}
    packages = {file.parent for file in found if file.name == "__init__.py"}
    packages |= {project.root / name for name in names & {"stages", "bench"}}
    return found | {file for package in packages for file in package.rglob("*.py")}


@cache
def named_paths(project: Project, path: Path) -> set[Path]:
    """Return the files and folders that strings name from the top or from the module's folder.

    Of a pattern, the part before its first `*` counts; of the library's strings, files alone.
    """
    starts = {text.split("*")[0].rstrip("/") for text in strings(path) if len(text) < 200}
    names = {name for name in starts - {"", ".", ".."} if "\n" not in name and "\0" not in name}
    if not project.is_test_code(path):
        return {project.root / name for name in names if (project.root / name).is_file()}
    places = (top / name for name in names for top in (project.root, path.parent))
    return {place for place in places if place.exists()}


def dependencies(project: Project, test: Path) -> tuple[set[Path], set[Path]]:
    """Return the modules that a test module may run, and the files and folders that it may read."""
    modules, waiting = set[Path](), project.closure(test)
    while waiting:
        modules |= waiting
        imported = {each for file in waiting for each in project.direct(file, lazy=True)[0]}
        named = {each for file in waiting for each in named_modules(project, file)}
        waiting = (imported | named) - modules
    paths = {place for file in modules for place in named_paths(project, file)}
    folders = {file.parent for file in modules if not project.is_test_code(file)}
    return modules, paths.union(*map(data_files, folders))


@cache
def data_files(folder: Path) -> frozenset[Path]:
    """Return the files beside modules that are no modules."""
    return frozenset(f for f in folder.iterdir() if f.is_file() and f.suffix != ".py")


def reasons(project: Project, test: Path, changed: Iterable[str]) -> list[str]:
    """Return the changed files that a test module depends on."""
    modules, paths = dependencies(project, test)
    copied = any("ls-files" in strings(file) for file in modules if project.is_test_code(file))

    def concerns(name: str) -> bool:
        path = project.root / name
        return (
            name in COMMON
            or path in modules
            or any(path.is_relative_to(place) for place in paths)
            or (copied and not any(fnmatch(name, pattern) for pattern in ASIDE))
        )

    return sorted(filter(concerns, changed))


def near(root: Path, base: str = BASE) -> dict[str, list[str]]:
    """Return the test modules to run, and for each the changed files that it depends on."""
    project, changed = Project(root), changed_files(root, base)
    tests = sorted((root / "tests").rglob("test_*.py"))
    found = {test.relative_to(root).as_posix(): reasons(project, test, changed) for test in tests}
    return {test: names for test, names in found.items() if names}


def main(arguments: list[str]) -> int:
    """Run pytest on the tests, or list them with their reasons."""
    tests = near(ROOT)
    if "--list" in arguments:
        for test, names in tests.items():
            print(f"{test}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}")
        return 0
    if not tests:
        print(f"no test depends on what differs from {BASE}")
        return 0
    return int(pytest.main([*arguments, *tests]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
