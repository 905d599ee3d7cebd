"""Find all problems of a params file before any stage runs, and what each stage reads of it.

DVC removes the outputs of a stage before it starts the stage. So a stage that refuses its params
has already lost its last outputs. This module reads the params by the signatures of the stage
scripts, so that it checks exactly what they will read.
"""

import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, excerpt, listed
from retune.core.params import VARIANTS, Params, load_yaml, parameters, unknown_keys
from retune.core.signature import Stage, read_settings

PARAMS = "params.yaml"
GRAPH = "dvc.yaml"
_SCRIPT = re.compile(r"python3? -m stages\.(?P<name>[\w.]+)")

#: A dep that is the value of a param.
_TEMPLATE = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class Reading:
    """What the stages of one script read of a params file.

    Attributes:
        module: the module of the script.
        variant: which of the file's `variants` was merged over its settings.
        sections: values by dotted name; empty if there is a problem.
        problems: messages.
        asked: dotted names of all sections that the script asks for, there or not; empty if the
            script or the file cannot be read.
    """

    module: str
    variant: str | None
    sections: Mapping[str, Any]
    problems: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def require_valid(folder: Path, changed: Path | None = None) -> int:
    """Check the params of the pipeline in `folder` and return how many readings there were.

    `changed` is a file to read in place of `params.yaml`.

    Raises:
        RetuneError: a section of a variant has a problem (the message lists all), or there is no
            pipeline.
    """
    if not _stages(folder):
        raise RetuneError(f"{folder / GRAPH}: no stages to check; run this in a DVC project")
    readings = read_params(folder, changed)
    unknown = unknown_sections(readings, folder, changed)
    problems = list(dict.fromkeys([*unknown, *problems_of(readings)]))
    if problems := problems or _absent(folder, changed or folder / PARAMS):
        raise RetuneError("\n".join(problems))
    return len(readings)


def problems_of(readings: list[Reading]) -> list[str]:
    """Return every problem once, in the order of the stages."""
    return list(dict.fromkeys(problem for reading in readings for problem in reading.problems))


def unknown_sections(
    readings: list[Reading], folder: Path, changed: Path | None = None
) -> list[str]:
    """Return a problem for each section that no stage of the pipeline in `folder` reads.

    Such a section is misspelt, or belongs to another pipeline. The scripts define the known
    sections, so that a new task needs no entry here.

    Args:
        readings: from `read_params`. If one of them failed early, nothing is refused.
        folder: the folder of `params.yaml`.
        changed: a file to read in place of `params.yaml`, as for `read_params`.
    """
    if not readings or not all(reading.asked for reading in readings):
        return []
    values = load_yaml(changed or folder / PARAMS)
    known = _sections_by_task(readings)
    problems = [*unknown_keys("", values, [*known, VARIANTS])]
    for task, sections in known.items():
        problems += unknown_keys(task, values.get(task), sections) if sections else ()
    varied = _sections_by_task([reading for reading in readings if reading.variant])
    problems += _unknown_in_variants(
        values.get(VARIANTS, {}), {task: known[task] for task in varied or known}
    )
    return [f"{folder / PARAMS}: {problem}" for problem in problems]


def _sections_by_task(readings: list[Reading]) -> dict[str, list[str]]:
    """Return the sections of each task, in the order of the stages; none if it is a plain value."""
    known: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for reading in readings for name in reading.asked):
        task, *sections = name.split(".")
        if task != VARIANTS:
            known.setdefault(task, []).extend(sections[:1])
    return {task: list(dict.fromkeys(sections)) for task, sections in known.items()}


def _unknown_in_variants(variants: Any, known: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield a problem for each variant of a wrong form or with an unknown section."""
    if not isinstance(variants, dict):
        yield f"{VARIANTS}: expected names with settings, got {excerpt(variants)}"
        return
    allowed = [section for sections in known.values() for section in sections]
    for name, changes in variants.items():
        if not isinstance(changes, dict):
            tasks = listed([f"`{task}`" for task in known])
            yield f"{VARIANTS}.{name}: expected settings of {tasks}, got {excerpt(changes)}"
        yield from unknown_keys(f"{VARIANTS}.{name}", changes, allowed)


def read_params(folder: Path, changed: Path | None = None) -> list[Reading]:
    """Read the params of every stage of the pipeline in `folder`, without running it.

    Args:
        folder: the folder of `dvc.yaml` and `params.yaml`.
        changed: a file to read in place of `params.yaml`. Problems name `params.yaml`.

    Raises:
        RetuneError: `dvc.yaml` cannot be read.
    """
    shown, file = folder / PARAMS, changed or folder / PARAMS
    stages = _stages(folder)
    commands = dict.fromkeys(_command(stage) for stage in stages.values())
    try:
        variants = _variants(file)
        scripts = {command: _SCRIPT.search(command) for command in commands}
        with _scripts_of(stage_folder(folder)):
            found = [
                _read(f"stages.{script['name']}", file, variant)
                for command, script in scripts.items()
                if script
                for variant in (variants if "--variant" in command else [None])
            ]
        readings = [reading for reading in found if reading]
    except RetuneError as error:
        readings = [Reading("", None, {}, (str(error),))]
    return [_renamed(reading, file, shown) for reading in readings]


def _absent(folder: Path, file: Path) -> list[str]:
    """Return a problem for each dep that a param names and that does not exist.

    DVC would refuse the stage only when its turn comes, and name only the path.
    """
    values = parameters(file)
    deps = [dep for stage in _stages(folder).values() for dep in _body(stage).get("deps", [])]
    named = (_TEMPLATE.fullmatch(str(dep)) for dep in dict.fromkeys(deps))
    found = {name[1]: values.get(name[1]) for name in named if name}
    return [
        f"{folder / PARAMS}: {name}: there is no {excerpt(path)}; name a folder that is there"
        for name, path in found.items()
        if isinstance(path, str) and not (stage_folder(folder) / path).exists()
    ]


def stage_folder(folder: Path) -> Path:
    """Return the folder in which the stages of the pipeline in `folder` run."""
    first: Any = next(iter(_stages(folder).values()), {})
    return folder / str(_body(first).get("wdir", "."))


def _stages(folder: Path) -> dict[str, Any]:
    """Return the stages of `dvc.yaml`; none if the file is missing or empty."""
    path = folder / GRAPH
    if not path.is_file() or not path.stat().st_size:
        return {}
    stages: dict[str, Any] = load_yaml(path).get("stages") or {}
    return stages


def _body(stage: Any) -> dict[str, Any]:
    body = stage.get("do", stage) if isinstance(stage, dict) else {}
    return body if isinstance(body, dict) else {}


def _command(stage: Any) -> str:
    command = _body(stage).get("cmd", "")
    return " ".join(command) if isinstance(command, list) else str(command)


def _variants(file: Path) -> list[str | None]:
    variants = load_yaml(file).get(VARIANTS)
    return list(variants) if isinstance(variants, dict) and variants else [None]


@contextlib.contextmanager
def _scripts_of(folder: Path) -> Iterator[None]:
    """Make the `stages` in `folder` importable."""
    path = str(folder.resolve())
    sys.path.insert(0, path)
    try:
        yield
    finally:
        sys.path.remove(path)


def _read(name: str, file: Path, variant: str | None) -> Reading | None:
    """Return what the script `name` reads; None if it reads no section."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        return Reading(name, variant, {}, (f"{GRAPH}: {name}: {error}",))
    stage = getattr(module, "main", None)
    return _read_stage(name, stage, file, variant) if inspect.isfunction(stage) else None


def _read_stage(name: str, stage: Stage, file: Path, variant: str | None) -> Reading | None:
    asked: list[str] = []
    try:
        params = Params(file, variant)
        asked = params.asked
        with params:
            read_settings(stage, params)
    except RetuneError as error:
        return Reading(name, variant, {}, tuple(str(error).splitlines()), tuple(asked))
    return Reading(name, variant, params.read, (), tuple(asked)) if asked else None


def _renamed(reading: Reading, file: Path, shown: Path) -> Reading:
    problems = tuple(problem.replace(str(file), str(shown)) for problem in reading.problems)
    return replace(reading, problems=problems)
