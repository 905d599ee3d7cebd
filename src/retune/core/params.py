"""Read params.yaml strictly, and report all problems together, with file and section.

`retune.core.yaml_files` reads the file as DVC does.
"""

import dataclasses
import difflib
import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass

from retune.core.errors import RetuneError, excerpt
from retune.core.yaml_files import flatten
from retune.core.yaml_files import load_yaml as load_yaml  # noqa: PLC0414 (others import it from here)

T = TypeVar("T")

_MISSING: Any = object()

#: Settings of every section's dataclass: no unknown keys, no silent conversion.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
LearningRate = Annotated[float, Field(gt=0.0, le=1.0)]

#: The section with the variants: named changes to the tasks' settings (`--variant NAME`).
VARIANTS = "variants"


class Choice(NamedTuple):
    """A param that chooses a module: `Choice("qa.model", "retune.tasks.qa.models", "qa.models")`.

    Attributes:
        param: the dotted name of the param, whose value is the name of a module.
        package: the folder of the modules to choose from.
        sections: the dotted name above the modules' sections.
    """

    param: str
    package: str
    sections: str


class Chosen(NamedTuple):
    """A module that a param chose, and its section: an instance of the module's `Params`."""

    module: ModuleType
    params: Any


class Params:
    """The sections of a params file, read one by one; all problems are raised together.

    Example::

        with Params() as params:
            settings = params.section("qa.tokenize", TokenizeParams)
            seed = params.section("qa.seed", Seed)

    Use a value only after the block. If something is wrong, the block ends with a
    `RetuneError` that lists every problem of every section.

    Args:
        path: the file; without one, the file of the command line (`retune.core.command_line`).
        variant: which of the file's `variants` to merge over each task that is read. A task is
            the first part of a dotted name.

    Attributes:
        read: the values of the sections that were read, by dotted name.
        asked: the dotted names of all sections that were asked for, there or not.
        values: all of the file, without the changes of the variant.
    """

    #: The file and the variant that `Params()` reads.
    chosen: ClassVar[tuple[Path, str | None]] = (Path("params.yaml"), None)

    def __init__(self, path: Path | str | None = None, variant: str | None = None) -> None:
        if path is None:
            path, variant = self.chosen
        self.path = Path(path)
        self.read: dict[str, Any] = {}
        self.asked: list[str] = []
        self.values = load_yaml(self.path)
        self.problems: list[str] = []
        self.changes: Any = {} if variant is None else self._changes(variant)
        self._variant = variant

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.problems:
            raise RetuneError("\n".join(self.problems)) from None

    def section(self, name: str, kind: type[T]) -> T:
        """Return the value at dotted `name` as a `kind` (a dataclass or a plain type)."""
        self.asked.append(name)
        value = self.value(name, _MISSING)
        if value is _MISSING:
            self._refuse(f"{name}: missing{self._misspelt(name)}")
            return cast(T, None)
        self.read[name] = value
        try:
            # As JSON, since only there a strict dataclass may come from a mapping.
            return TypeAdapter(kind, config=_config(kind)).validate_json(json.dumps(value))
        except ValidationError as error:
            self.problems += [f"{self.path}: {_sentence(name, kind, e)}" for e in error.errors()]
            return cast(T, None)

    def value(self, name: str, default: Any = None) -> Any:
        """Return the value at dotted `name` as the file has it, or `default`.

        The variant's changes are merged over the task, as in `section`.
        """
        task, *keys = name.split(".")
        value = self._task(task, default)
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return default
            value = value[key]
        return value

    def variant(self, name: str, package: str, sections: str) -> Chosen:
        """Return the module of `package` that `name` chooses, and its section under `sections`.

        This comes last in the block, because an unknown module ends the reading.
        """
        chosen, names = self.section(name, str), module_names(package)
        self.asked += [f"{sections}.{known}" for known in names]
        if chosen in names:
            self._refuse_others(sections, names)
            module = importlib.import_module(f"{package}.{chosen}")
            return Chosen(module, self.section(f"{sections}.{chosen}", module.Params))
        if chosen is not None:
            choices = ", ".join(names)
            nearest = difflib.get_close_matches(chosen, names, n=1)
            hint = f"; did you mean `{nearest[0]}`?" if nearest else ""
            self.problems.append(f"{self.path}: {name}: no {chosen!r}; allowed: {choices}{hint}")
        raise RetuneError("\n".join(self.problems))

    def _refuse(self, problem: str) -> None:
        sentence = f"{self.path}: {problem}"
        if sentence not in self.problems:
            self.problems.append(sentence)

    def _changes(self, variant: str) -> Any:
        """Return the variant's changes, and refuse a variant that the file does not have."""
        variants = self.values.get(VARIANTS, {})
        if not isinstance(variants, dict):
            self._refuse(f"{VARIANTS}: expected names with settings, got {excerpt(variants)}")
        elif variant not in variants:
            allowed = ", ".join(variants) or "none, the file has no such section"
            self._refuse(f"{VARIANTS}: no {variant!r}; allowed: {allowed}")
        else:
            return variants[variant]
        return {}

    def _task(self, task: str, default: Any) -> Any:
        """Return the settings of `task`, with the variant's changes merged in."""
        value = self.values.get(task, default)
        if task == VARIANTS or self.changes == {}:
            return value
        if isinstance(self.changes, dict):
            return _merged(value, self.changes)
        expected = f"expected settings of `{task}`, got {excerpt(self.changes)}"
        self._refuse(f"{VARIANTS}.{self._variant}: {expected}")
        return value

    def _misspelt(self, name: str) -> str:
        """Return a hint at a key that may be the missing `name`, misspelt."""
        above, _, key = name.rpartition(".")
        beside = self.value(above) if above else self.values
        if above and beside is None:
            return self._misspelt(above)
        found = beside if isinstance(beside, dict) else {}
        others = {f"{above}.{other}".lstrip("."): other for other in found}
        unread = [other for path, other in others.items() if path not in self.asked]
        nearest = difflib.get_close_matches(key, unread, n=1)
        hint = f"{above}.{nearest[0]}".lstrip(".") if nearest else ""
        return f"; is `{hint}` meant to be `{name}`?" if hint else ""

    def _refuse_others(self, sections: str, names: Sequence[str]) -> None:
        """Refuse sections that belong to no module of the package, such as misspelt ones."""
        for problem in unknown_keys(sections, self.value(sections), names):
            self._refuse(problem)


def import_known(name: str, package: str, origin: Path) -> ModuleType:
    """Import the module `name` of `package`, which the file or folder `origin` asks for.

    Raises:
        RetuneError: `package` has no such module. No other module is imported.
    """
    names = module_names(package)
    if name not in names:
        raise RetuneError(
            f"{origin}: its model is {excerpt(name)}, which is unknown; known: {', '.join(names)}"
        )
    return importlib.import_module(f"{package}.{names[names.index(name)]}")


def module_names(package: str) -> list[str]:
    """Return the names of the modules in `package`, in alphabetical order."""
    folder = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_"))


def parameters(path: Path) -> dict[str, Any]:
    """Return all values of a params file by their dotted names."""
    return dict(flatten(load_yaml(path)))


def unknown_keys(where: str, values: Any, allowed: Sequence[str]) -> Iterator[str]:
    """Yield a problem for each key of `values`, if it is a mapping, that is not allowed."""
    for key in values if isinstance(values, dict) else ():
        if key not in allowed:
            yield f"{where}.{key}".lstrip(".") + f": unknown key{_hint(key, allowed)}"


def _merged(values: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `changes`: mappings in both are merged, all else is replaced."""
    merged = dict(values) if isinstance(values, dict) else {}
    for key, change in changes.items():
        merged[key] = _merged(merged.get(key), change) if isinstance(change, dict) else change
    return merged


def _config(kind: Any) -> ConfigDict | None:
    # Dataclasses and models bring their own configuration and refuse another.
    if is_pydantic_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return None
    return STRICT


def _sentence(section: str, kind: Any, error: Any) -> str:
    path = ".".join([section, *map(str, error["loc"])])
    if error["type"] == "unexpected_keyword_argument":
        return f"{path}: unknown key{_nearest(kind, error['loc'])}"
    if error["type"] == "missing":
        return f"{path}: missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{path}: {message[0].lower()}{message[1:]}; got {excerpt(error['input'])}"


def _nearest(kind: Any, location: tuple[str | int, ...]) -> str:
    for key in location[:-1]:
        kind = _field_type(kind, str(key))
    names = [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    return _hint(str(location[-1]), names)


def _hint(name: str, names: Sequence[str]) -> str:
    match = difflib.get_close_matches(name, names, n=1)
    hint = f", did you mean `{match[0]}`?" if match else ""
    return f"{hint} (allowed: {', '.join(names)})" if names else ""


def _field_type(kind: Any, name: str) -> Any:
    field = getattr(kind, "__dataclass_fields__", {}).get(name)
    kind = field.type if field else None
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
