"""dvc.yaml of a pipeline: its stages, and the metrics and plots that each of them writes.

DVC's own parser is slow and stops at the first fault of any pipeline. This one reads what names
files: `vars`, `${...}`, `foreach` and `matrix`.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

from retune.core.errors import RetuneError, excerpt
from retune.core.yaml_files import load_yaml
from retune.tasks.task import main_task

SISTERS = "pipelines"
#: The axis over which figures are averaged, with an interval.
SEED = "seed"
_SLOT = re.compile(r"\$\{\s*([^}]*?)\s*\}")
_ITEM = "item"
_KINDS = ("metrics", "plots", "outs")
_OUTPUTS = ("wdir", *_KINDS)
_FORM = (
    "`vars`, `metrics`, `plots` and `outs` are lists of paths or of `path: {...}`, `matrix` has a "
    "list for each axis, and `foreach` is a list or has names"
)


@dataclass(frozen=True)
class Output:
    """A file or folder of metrics or plots.

    Attributes:
        stage: that writes it, as in dvc.yaml.
        target: that stage for one item, as `dvc repro` takes it.
        item: of a stage that stands for several, by axis: `{"method": "bert", "seed": "1"}`.
        path: from the project's top.
        style: what dvc.yaml says of a plot: template, x, y, title, ...
    """

    stage: str
    target: str
    item: Mapping[str, str]
    path: str
    style: Mapping[str, Any]

    @property
    def variant(self) -> dict[str, str]:
        """The item without its seed."""
        return {axis: name for axis, name in self.item.items() if axis != SEED}


@dataclass(frozen=True)
class Pipeline:
    """One dvc.yaml.

    Attributes:
        name: of its folder; that of the main one is its task's.
        folder: from the project's top.
        about: the first sentence of the comment that it begins with.
        metrics: that its stages write.
        plots: that its stages write.
        outs: what else they write.
        declared: figures of its `plots:`, by their title or name, with paths from the top.
    """

    name: str
    folder: str
    about: str
    metrics: tuple[Output, ...]
    plots: tuple[Output, ...]
    outs: tuple[Output, ...]
    declared: tuple[tuple[str, Mapping[str, Any]], ...]

    @property
    def command(self) -> str:
        """The command that runs the whole pipeline from the project's top."""
        return f"cd {self.folder} && dvc repro" if self.folder else "dvc repro"

    def makes(self, output: Output) -> str:
        """Return the command that writes one output."""
        return f"{self.command} {output.target}"


def folders(root: Path) -> dict[str, str]:
    """Return the folder of each pipeline by name, the main pipeline first."""
    sisters = sorted(path.parent.name for path in root.glob(f"{SISTERS}/*/dvc.yaml"))
    return {main_task().section: ""} | {name: f"{SISTERS}/{name}" for name in sisters}


def read_pipeline(root: Path, name: str, folder: str) -> Pipeline:
    """Read the dvc.yaml in `folder`.

    Raises:
        RetuneError: it cannot be read, is of another form, or names what is not there.
    """
    path = root / folder / "dvc.yaml"
    with _form_checked(path):
        return _read(path, name, folder)


def read_stages(folder: Path, params: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return the stages of the dvc.yaml in `folder` by their names in dvc.lock.

    A stage has `cmd`, `wdir`, `deps`, `params`, `outs`, `metrics` and `plots`, with `${...}` filled
    in from `params.yaml`, or from `params` in its place. Raises as `read_pipeline`.
    """
    path, keys = folder / "dvc.yaml", ("cmd", "deps", "params", *_OUTPUTS)
    with _form_checked(path):
        content = load_yaml(path)
        found = _stages(path, content, keys, _context(folder, content, params))
        return {target: _checked(body) for _, target, _, body in found}


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """Return a stage's body after checking that its lists are lists."""
    for kind in ("deps", *_KINDS):
        list(entries(body.get(kind)))
    for entry in _listed(body.get("params")):
        for names in entry.values() if isinstance(entry, dict) else ():
            _listed(names)
    return body


def entries(listing: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and settings of each entry of `deps`, `outs`, `metrics` or `plots`."""
    for entry in _listed(listing):
        if isinstance(entry, dict):
            yield from ((str(path), dict(style or {})) for path, style in entry.items())
        else:
            yield str(entry), {}


def joined(base: PurePosixPath, path: str) -> str:
    """Return the path of `path` below `base`, normalized."""
    return PurePosixPath(os.path.normpath(base / path)).as_posix()


@contextlib.contextmanager
def _form_checked(path: Path) -> Iterator[None]:
    """Raise an error that names the file if its form is wrong."""
    try:
        yield
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise RetuneError(
            f"{path}: not of the form that DVC reads ({error}); {_FORM}; correct it"
        ) from None


def _read(path: Path, name: str, folder: str) -> Pipeline:
    content = load_yaml(path)
    found: dict[str, list[Output]] = {kind: [] for kind in _KINDS}
    context = _context(path.parent, content)
    for stage, target, item, resolved in _stages(path, content, _OUTPUTS, context):
        base = PurePosixPath(folder, str(resolved.get("wdir", ".")))
        for kind, outputs in found.items():
            for told, style in entries(resolved.get(kind)):
                outputs.append(Output(stage, target, item, joined(base, told), style))
    declared = tuple(_declared(content.get("plots"), folder))
    metrics, plots, outs = (tuple(found[kind]) for kind in _KINDS)
    return Pipeline(name, folder, _first_sentence(path), metrics, plots, outs, declared)


def _stages(
    path: Path, content: Mapping[str, Any], keys: Sequence[str], context: Mapping[str, Any]
) -> Iterator[tuple[str, str, dict[str, str], dict[str, Any]]]:
    """Yield stage, target, item and body of each stage, with only `keys` of the body."""
    stages = content.get("stages")
    if not isinstance(stages, dict):
        raise RetuneError(f"{path}: expected `stages:` with a name for each, got {excerpt(stages)}")
    for stage, body in stages.items():
        where = f"{path}: stages.{stage}"
        for target, item, inner, context_ in _instances(where, stage, body, context):
            kept = {key: inner[key] for key in keys if key in inner}
            yield stage, target, item, _resolved(where, kept, context_)


def _context(folder: Path, content: Mapping[str, Any], params: Any = None) -> dict[str, Any]:
    """Return what `${...}` may name: the params beside dvc.yaml, and its `vars`."""
    path = folder / "params.yaml"
    context = dict(load_yaml(path) if params is None and path.is_file() else params or {})
    for entry in _listed(content.get("vars")):
        context |= entry if isinstance(entry, dict) else load_yaml(folder / str(entry))
    return context


def _instances(
    where: str, stage: str, body: Any, context: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, str], Mapping[str, Any], Mapping[str, Any]]]:
    """Yield target, item, body and context of each stage that `body` expands to."""
    if not isinstance(body, dict):
        raise RetuneError(f"{where}: expected a stage with a `cmd`, got {excerpt(body)}")
    if "matrix" in body:
        yield from _of_matrix(where, stage, body, context)
    elif "foreach" in body:
        choices = _resolved(where, body["foreach"], context)
        for key, value in _keyed(choices):
            inner = {**context, "key": key, _ITEM: value}
            yield f"{stage}@{key}", {"method": key}, body.get("do") or {}, inner
    else:
        yield stage, {}, body, context


def _of_matrix(
    where: str, stage: str, body: Mapping[str, Any], context: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, str], Mapping[str, Any], Mapping[str, Any]]]:
    axes = {
        axis: [*enumerate(_listed(_resolved(where, values, context)))]
        for axis, values in body["matrix"].items()
    }
    for point in product(*axes.values()):
        chosen = dict(zip(axes, point, strict=True))
        # DVC names an item by its value, or by its index if the value is a list or mapping.
        words = [
            f"{axis}{place}" if isinstance(value, dict | list) else _text(value)
            for axis, (place, value) in chosen.items()
        ]
        item = {axis: _name(value, f"{axis}{place}") for axis, (place, value) in chosen.items()}
        inner = {**context, _ITEM: {axis: value for axis, (_, value) in chosen.items()}}
        yield f"{stage}@{'-'.join(words)}", item, body, inner


def _keyed(choices: Any) -> list[tuple[str, Any]]:
    if isinstance(choices, dict):
        return list(choices.items())
    plain = [not isinstance(value, dict | list) for value in _listed(choices)]
    keys = [str(value) if plain[n] else str(n) for n, value in enumerate(choices)]
    return list(zip(keys, choices, strict=True))


def _name(value: Any, place: str) -> str:
    return str(value.get("name", place)) if isinstance(value, dict) else str(value)


def _resolved(where: str, value: Any, context: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {
            _resolved(where, key, context): _resolved(where, item, context)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_resolved(where, item, context) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _SLOT.fullmatch(value):
        return _looked_up(where, whole[1], context)
    return _SLOT.sub(lambda slot: _text(_looked_up(where, slot[1], context)), value)


def _text(value: Any) -> str:
    """Return a value as DVC inserts it into text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _looked_up(where: str, name: str, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for key in re.split(r"[.\[\]]+", name.rstrip("]")):
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            raise RetuneError(f"{where}: ${{{name}}} is neither in its params.yaml nor in `vars`")
    return value


def _declared(figures: Any, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the top-level `plots`, with their `y` as columns by file."""
    for name, style in figures.items() if isinstance(figures, dict) else entries(figures):
        told = dict(style or {})
        columns = told.get("y")
        by_file = columns if isinstance(columns, dict) else {name: columns}
        base = PurePosixPath(folder)
        told["y"] = {joined(base, file): names for file, names in by_file.items()}
        if isinstance(told.get("x"), dict):
            told["x"] = {joined(base, file): column for file, column in told["x"].items()}
        yield str(told.get("title", name)), told


def _listed(value: Any) -> list[Any]:
    """Return a list, empty for None; reject other values, such as text."""
    if not isinstance(value, list | None):
        raise TypeError(f"expected a list, got {excerpt(value)}")
    return value or []


def _first_sentence(path: Path) -> str:
    """Return the first sentence of the comment at the start of a YAML file."""
    words = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    sentence, end, _ = " ".join(words).partition(". ")
    return sentence + end.rstrip()
