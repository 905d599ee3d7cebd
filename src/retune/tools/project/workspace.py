"""Find the DVC project around the current folder, and work in it."""

import argparse
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError

PIPELINES = Path("pipelines")


def project_top(start: Path | None = None, *, outermost: bool = False) -> Path | None:
    """Return the nearest folder at or above `start` with a `.dvc` folder, as DVC does.

    With `outermost`, return the highest such folder, which contains the subprojects.
    """
    here = (start or Path()).resolve()
    tops = [folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()]
    return tops[-1 if outermost else 0] if tops else None


def sister_place() -> tuple[Path, Path] | None:
    """Return the project's top, and below it the folder of the sister pipeline that we are in.

    A sister is a DVC project `pipelines/NAME` inside another; the result is None outside of one.
    """
    here = project_top()
    top = project_top(here.parent) if here else None
    is_sister = here and top and here.parent == top / "pipelines"
    if here is None or top is None or not is_sister or not (here / "dvc.yaml").is_file():
        return None
    return top, here.relative_to(top)


def sister(name: str) -> Path:
    """Return the folder of a sister pipeline, from the project's top.

    Raises:
        RetuneError: there is none of that name.
    """
    folders = [path.parent for path in sorted(PIPELINES.glob("*/dvc.yaml"))]
    names = ", ".join(folder.name for folder in folders) or "none"
    if PIPELINES / name not in folders:
        raise RetuneError(f"--pipeline {name}: no such pipeline; there are: {names}")
    return PIPELINES / name


@contextlib.contextmanager
def inside_pipeline(arguments: argparse.Namespace) -> Iterator[None]:
    """Work in the project's folder, or in the sister pipeline that `--pipeline` names."""
    if not arguments.pipeline:
        with inside_project(arguments):
            yield
        return
    with inside_project(arguments, outermost=True), contextlib.chdir(sister(arguments.pipeline)):
        yield


@contextlib.contextmanager
def inside_project(
    arguments: argparse.Namespace, paths: Sequence[str] = (), *, outermost: bool = False
) -> Iterator[None]:
    """Work in the project's top folder, or stay here outside a project.

    The arguments in `paths` are relative to the current folder, and are adapted.
    """
    top = project_top(outermost=outermost)
    if top is None or top == Path.cwd():
        yield
        return
    for name in paths:
        setattr(arguments, name, _seen_from(top, getattr(arguments, name)))
    with contextlib.chdir(top):
        yield


def _seen_from(top: Path, value: Any) -> Any:
    match value:
        case list():
            return [_seen_from(top, item) for item in value]
        case Path() | str() if str(value) != "-":
            return type(value)(os.path.relpath(value, top))
    return value
