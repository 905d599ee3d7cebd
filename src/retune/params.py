"""Strict reading of params.yaml: every problem at once, with file and section.

`retune.yaml_files` reads the file as DVC does.
"""

import dataclasses
import difflib
import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass

from retune.errors import RetuneError, excerpt
from retune.yaml_files import load_yaml as load_yaml  # noqa: PLC0414 (others import it from here)

T = TypeVar("T")

#: Settings of every section's dataclass: no unknown keys, no silent conversion.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
LearningRate = Annotated[float, Field(gt=0.0, le=1.0)]

#: The sections of each task. Stages read them one by one, so that none would miss another.
SECTIONS = {
    "qa": (
        *("dataset", "datasets", "model", "models", "checkpoint", "seed", "squad_v2"),
        *("download", "tokenize", "train", "predict", "postprocess", "score"),
    ),
    "adapters": ("language", "entities"),
    "sentiment": (
        *("dataset", "datasets", "model", "models", "checkpoint", "seeds", "download"),
        *("augment", "vocabulary", "vocabularies", "tokenize"),
        *("train", "predict", "score", "probe"),
    ),
    "language_model": (
        *("dataset", "datasets", "model", "models", "checkpoint", "seed", "download"),
        *("tokenize", "train", "generate", "perplexity", "score", "plots"),
    ),
}
#: Beside the tasks: by name, what takes the place of parts of a task (`--variant NAME`).
_VARIANTS = "variants"


class ParamsRead(Exception):  # noqa: N818 - a signal and not a fault
    """Raised behind the params of a stage where nothing more is wanted of it."""

    def __init__(self, sections: Mapping[str, Any]) -> None:
        super().__init__()
        self.sections = sections  # values by dotted name


class Params:
    """The sections of a params file, read one by one; problems are raised together.

    Example::

        with Params() as params:
            settings = params.section("qa.tokenize", TokenizeParams)
            seed = params.section("qa.seed", Seed)

    A value read inside the block must only be used after it: where something is wrong,
    the block ends with a `RetuneError` that lists every problem of every section.

    Args:
        path: the file; without one, that of the command line (`retune.stage`).
        variant: which of the file's `variants` to merge over its `sentiment` or `language_model`,
            or else over its `qa`, before anything is read.
    """

    #: The file and the variant that `Params()` reads.
    chosen: ClassVar[tuple[Path, str | None]] = (Path("params.yaml"), None)
    #: Whether to raise `ParamsRead` at the end of the block (`retune.validation`).
    nothing_more: ClassVar[bool] = False

    def __init__(self, path: Path | str | None = None, variant: str | None = None) -> None:
        if path is None:
            path, variant = self.chosen
        self.path = Path(path)
        self.read: dict[str, Any] = {}  # the values of the sections that were read, by name
        self.values = load_yaml(self.path)
        self.problems = [f"{self.path}: {problem}" for problem in _unknown_sections(self.values)]
        if variant is not None:
            self._choose(variant)

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
        if self.nothing_more and error is None:
            raise ParamsRead(self.read)

    def section(self, name: str, kind: type[T]) -> T:
        """The value at dotted `name`, converted to `kind` (a dataclass or a plain type)."""
        value: Any = self.values
        for key in name.split("."):
            if not isinstance(value, dict) or key not in value:
                self.problems.append(f"{self.path}: {name}: missing")
                return cast(T, None)
            value = value[key]
        self.read[name] = value
        try:
            # As JSON, since only there a strict dataclass may come from a mapping.
            return TypeAdapter(kind, config=_config(kind)).validate_json(json.dumps(value))
        except ValidationError as error:
            self.problems += [f"{self.path}: {_sentence(name, kind, e)}" for e in error.errors()]
            return cast(T, None)

    def variant(self, name: str, package: str, sections: str) -> tuple[ModuleType, Any]:
        """The module of `package` that `name` chooses, and its section under `sections`.

        The section is an instance of the module's `Params`. Where there is no such module
        nothing more can be read, so this comes last in the block.
        """
        chosen, names = self.section(name, str), module_names(package)
        if chosen in names:
            self._refuse_others(sections, names)
            module = importlib.import_module(f"{package}.{chosen}")
            return module, self.section(f"{sections}.{chosen}", module.Params)
        if chosen is not None:
            choices = ", ".join(names)
            nearest = difflib.get_close_matches(chosen, names, n=1)
            hint = f"; did you mean `{nearest[0]}`?" if nearest else ""
            self.problems.append(f"{self.path}: {name}: no {chosen!r}; allowed: {choices}{hint}")
        raise RetuneError("\n".join(self.problems))

    def _choose(self, variant: str) -> None:
        """Merge a variant over the task that it changes."""
        told = self.values.get(_VARIANTS)
        variants: dict[str, Any] = told if isinstance(told, dict) else {}
        changes = variants.get(variant)
        if isinstance(changes, dict):
            task = _task_of_variants(self.values)
            self.values[task] = _merged(self.values.get(task), changes)
        elif changes is None:
            allowed = ", ".join(variants) or "none, the file has no such section"
            self.problems.append(f"{self.path}: {_VARIANTS}: no {variant!r}; allowed: {allowed}")

    def _refuse_others(self, sections: str, names: Sequence[str]) -> None:
        """A section of a variant that there is not, such as a misspelt one, is a problem."""
        value: Any = self.values
        for key in sections.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, dict):
            unknown = [key for key in value if key not in names]
            self.problems += [
                f"{self.path}: {sections}.{key}: unknown key{_hint(str(key), names)}"
                for key in unknown
            ]


def import_known(name: str, package: str, origin: Path) -> ModuleType:
    """Import the module `name` of `package`, which the file or folder `origin` asks for.

    Raises:
        RetuneError: the package has no such module; nothing is imported by a name from elsewhere.
    """
    names = module_names(package)
    if name not in names:
        raise RetuneError(
            f"{origin}: its model is {excerpt(name)}, which is unknown; known: {', '.join(names)}"
        )
    return importlib.import_module(f"{package}.{names[names.index(name)]}")


def module_names(package: str) -> list[str]:
    """Names of the modules in `package`, in alphabetical order."""
    folder = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(folder) if not m.name.startswith("_"))


def parameters(path: Path) -> dict[str, Any]:
    """Return all values of a params file by their dotted names."""
    return dict(_flat(load_yaml(path)))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _unknown_sections(values: dict[str, Any]) -> Iterator[str]:
    """Keys beside and among the known sections, where the file is that of a known task."""
    allowed = [*SECTIONS, _VARIANTS]
    tasks = [task for task in SECTIONS if task in values]
    for key in values if tasks else ():
        if key not in allowed:
            yield f"{key}: unknown key{_hint(key, allowed)}"
    for task in tasks:
        yield from _unknown_keys(task, values[task], SECTIONS[task])
    variants = values.get(_VARIANTS, {}) if tasks else {}
    if not isinstance(variants, dict):
        yield f"{_VARIANTS}: expected names with settings, got {excerpt(variants)}"
        return
    task = _task_of_variants(values)
    for name, changes in variants.items():
        if not isinstance(changes, dict):
            yield f"{_VARIANTS}.{name}: expected settings of `{task}`, got {excerpt(changes)}"
        yield from _unknown_keys(f"{_VARIANTS}.{name}", changes, SECTIONS[task])


def _task_of_variants(values: Mapping[str, Any]) -> str:
    """The task that variants are merged over: one, so that a key of theirs means one thing."""
    return next((task for task in ("sentiment", "language_model") if task in values), "qa")


def _unknown_keys(where: str, values: Any, allowed: Sequence[str]) -> Iterator[str]:
    for key in values if isinstance(values, dict) else ():
        if key not in allowed:
            yield f"{where}.{key}: unknown key{_hint(key, allowed)}"


def _merged(values: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with those of `changes`; mappings in both are merged, all else is replaced."""
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
