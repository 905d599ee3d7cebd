"""What a stage reads and writes, declared by the parameters of its `main`.

    def main(
        raw: In, features: Out, metrics: Report, *,
        settings: Annotated[TokenizeParams, "qa.tokenize"],
    ) -> str: ...

The paths before `*` are the arguments of the command line. The sections after it come from the
params file. `retune.core.stage` then reads, checks, locks and seals them around the call.
"""

import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from retune.core.params import Choice, Params

T = TypeVar("T")
Stage = Callable[..., str]


class Role(Enum):
    """What a stage does with a path; the text is shown by `--help`."""

    IN = "folder of an earlier stage to read"
    OUT = "folder to write"
    TRAINED = "folder to write, with checkpoints beside it until the training ends"
    REPORT = "file or folder to write"


#: A folder that an earlier stage has sealed. Manifests call it by the name of the parameter.
In = Annotated[Path, Role.IN]
#: A folder that this stage seals.
Out = Annotated[Path, Role.OUT]
#: An `Out` that a training writes. Its neighbour `checkpoints` is locked, too.
Trained = Annotated[Path, Role.TRAINED]
#: A file or folder that this stage writes, and does not seal.
Report = Annotated[Path, Role.REPORT]


class _Function:
    """A function of a parameter and, by their names, of other parameters."""

    def __init__(self, function: Callable[..., Any], *others: str) -> None:
        self.function, self.others = function, others

    def __call__(self, name: str, values: Mapping[str, Any]) -> Any:
        return self.function(values[name], *(values[other] for other in self.others))


class Inputs(_Function):
    """Marks a folder of several `In`: `Annotated[Path, Inputs(seed_folders, "seeds")]`.

    `seed_folders(path, seeds)` returns them by name.
    """


class Check(_Function):
    """Marks a section with a check that raises a `RetuneError` if settings do not fit together."""


class Parameter:
    """A parameter of a stage's `main`.

    Attributes:
        name: of the parameter.
        kind: the type of its value, without the marks.
        optional: whether it has a default.
    """

    def __init__(self, parameter: inspect.Parameter) -> None:
        self.name, self.optional = parameter.name, parameter.default is not parameter.empty
        annotation = parameter.annotation
        if get_origin(annotation) in (Union, UnionType):  # `In | None`
            annotation = get_args(annotation)[0]
        is_marked = get_origin(annotation) is Annotated
        base, *marks = get_args(annotation) if is_marked else [annotation]
        self._marks = [m for m in marks if isinstance(m, str | Choice | Role | _Function)]
        # Pydantic checks by the other marks, such as the bounds of `Seed`, and ignores these.
        self.kind: Any = base if self._marks == marks else annotation

    def mark(self, kind: type[T]) -> T | None:
        """Return the parameter's mark of this type, if it has one."""
        return next((mark for mark in self._marks if isinstance(mark, kind)), None)

    @property
    def section(self) -> str | None:
        """The dotted name of the section that it gets, if it gets one."""
        return self.mark(str)


def parameters(stage: Stage) -> list[Parameter]:
    """Return the parameters of a stage's `main`, in their order."""
    return [Parameter(each) for each in inspect.signature(stage).parameters.values()]


def has_settings(stage: Stage) -> bool:
    """Return whether `stage` reads a params file."""
    return any(p.section or p.mark(Choice) or p.kind is Params for p in parameters(stage))


def read_settings(stage: Stage, params: Params) -> dict[str, Any]:
    """Read the sections that `stage` declares; return its arguments, by name.

    Call this inside the block of `params`, which raises all problems together.
    """
    declared = parameters(stage)
    found: dict[str, Any] = {p.name: params for p in declared if p.kind is Params}
    for p in declared:
        if p.section:
            found[p.name] = params.section(p.section, p.kind)
    for p in declared:  # last, because an unknown choice ends the reading
        if choice := p.mark(Choice):
            found[p.name] = params.variant(*choice)
    for p in declared:
        if not params.problems and (check := p.mark(Check)):
            check(p.name, found)
    return found


class Places(NamedTuple):
    """Sealed folders that a stage reads and writes, by name, and the other paths that it writes."""

    reads: dict[str, Path]
    writes: dict[str, Path]
    reports: list[Path]


def places(stage: Stage, arguments: Mapping[str, Any]) -> Places:
    """Sort the paths in `arguments` by what `stage` does with them."""
    found = Places({}, {}, [])
    for p in parameters(stage):
        path, role = arguments.get(p.name), p.mark(Role)
        if role is Role.IN and path is not None:
            found.reads[p.name] = path
        elif several := p.mark(Inputs):
            folders = several(p.name, arguments)
            found.reads.update({f"{p.name} {name}": folder for name, folder in folders.items()})
        elif role in (Role.OUT, Role.TRAINED) and path is not None:
            found.writes[p.name] = path
        elif role is Role.REPORT:
            found.reports.append(arguments[p.name])
        if role is Role.TRAINED:
            found.reports.append(arguments[p.name].parent / "checkpoints")
    return found
