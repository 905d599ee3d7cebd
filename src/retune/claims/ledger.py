"""`claims.yaml`: a claim for every number that is stated, compared with what was measured."""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from retune.errors import RetuneError, listed
from retune.params import STRICT, load_yaml
from retune.storage import read_json

NAME = "claims.yaml"
#: Keys that name a row of a list, for `Claim.values`.
_ROW_NAMES = ("name", "split", "group", "recipe", "score")


class Place(BaseModel, frozen=True):
    """Where numbers are stated: a generated part of a document, or words of it."""

    model_config = STRICT

    file: str
    part: str | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _one_anchor(self) -> Self:
        if (self.part is None) == (self.text is None):
            raise ValueError(f"a place in {self.file} needs a `part` or a `text`, not both")
        return self


class _Claim(BaseModel, frozen=True):
    model_config = STRICT

    what: str
    stated: tuple[Place, ...] = Field(default=(), strict=False)


class Earned(_Claim, frozen=True):
    """Numbers that DVC's stages wrote, in a file under git."""

    kind: Literal["earned"]
    pipeline: str | None = None  # the folder of another one than the main one
    changes: dict[str, Any] = {}  # params that differ from params.yaml
    params: str  # digest of all params of the stages; of a sister pipeline, of its whole file
    data: str  # MD5 of the download stage's output, as in dvc.lock
    sources: dict[str, str]  # MD5 of each file
    values: dict[str, float]  # by file and place: metrics/qa.json#qa/f1
    tolerance: dict[str, float] = {}  # by the last word of the place; in its unit
    retrain: bool = False  # small enough for a CPU: `retune verify --claims` trains it


class Bench(_Claim, frozen=True):
    """Numbers that a benchmark wrote into a file under git."""

    kind: Literal["bench"]
    command: str
    sources: dict[str, str]


class MeasuredOnce(_Claim, frozen=True):
    """Numbers that were measured by hand, and are measured again by no command here."""

    kind: Literal["measured once"]
    command: str
    data: str
    date: str
    machine: str


class Published(_Claim, frozen=True):
    """Numbers of others, which nobody has earned here yet."""

    kind: Literal["published elsewhere, not re-run here"]
    source: str
    data: str
    values: dict[str, float]


class Setting(_Claim, frozen=True):
    """Numbers of the code that a document repeats: src/retune/some.py#CONSTANT."""

    kind: Literal["setting"]
    values: dict[str, float]


Claim = Annotated[Earned | Bench | MeasuredOnce | Published | Setting, Field(discriminator="kind")]


def load(root: Path) -> dict[str, Claim]:
    """Read the claims by name.

    Raises:
        RetuneError: naming every wrong, missing or unknown key.
    """
    claims = load_yaml(root / NAME).get("claims")
    try:
        # As JSON, where a list may become a tuple though all else is strict.
        return TypeAdapter(dict[str, Claim]).validate_json(json.dumps(claims))
    except ValidationError as error:
        lines = [f"{NAME}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise RetuneError("\n".join(lines)) from None


class Project:
    """The files that say what was run: read once, when they are needed."""

    #: The output whose hash stands for the data of a run.
    data = "data/qa/raw"

    def __init__(self, root: Path, folder: str = "") -> None:
        self.root, self.folder = root, root / folder
        self.params_file = (Path(folder) / "params.yaml").as_posix()

    @cached_property
    def stages(self) -> dict[str, Any]:
        """The stages of dvc.yaml."""
        return cast(dict[str, Any], load_yaml(self.folder / "dvc.yaml")["stages"])

    @cached_property
    def params(self) -> dict[str, Any]:
        """params.yaml."""
        return load_yaml(self.folder / "params.yaml")

    @cached_property
    def lock(self) -> dict[str, Any]:
        """The stages of dvc.lock."""
        return cast(dict[str, Any], load_yaml(self.folder / "dvc.lock")["stages"])

    def params_of(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Every param that a stage of dvc.yaml reads, with `changes` made to params.yaml."""
        values = deepcopy(self.params)
        for key, value in changes.items():
            section, _, last = key.rpartition(".")
            _at(values, section.split("."))[last] = value
        entries = (entry for stage in self.stages.values() for entry in stage.get("params", []))
        names = (entry for entry in entries if isinstance(entry, str))  # others: of other files
        resolved = {_resolved(name, values) for name in names}
        return {name: _at(values, name.split(".")) for name in resolved}

    def params_of_the_last_run(self) -> dict[str, Any]:
        """Every param that dvc.lock names."""
        stages = self.lock.values()
        return {k: v for stage in stages for k, v in stage["params"][self.params_file].items()}

    def params_now(self) -> dict[str, Any]:
        """The same, as they stand in the file."""
        return self.params_of({})

    def data_md5(self) -> str:
        """The hash of the data in dvc.lock."""
        for stage in self.lock.values():
            for out in stage["outs"]:
                if out["path"] == self.data:
                    return str(out["md5"])
        raise RetuneError(f"dvc.lock: no stage has written {self.data}; run `dvc repro`")


class Sister(Project):
    """Likewise of the pipeline in another folder, whose stages stand for several methods."""

    def __init__(self, root: Path, folder: str) -> None:
        super().__init__(root, folder)
        self.data = f"data/{self.folder.name}/raw"

    def params_of(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The whole file: what a method reads of it is up to its `variants`."""
        if changes:
            raise RetuneError(f"{NAME}: `changes` are for the main pipeline, not {self.folder}")
        return self.params

    def params_now(self) -> dict[str, Any]:
        """The params that dvc.lock names, as they stand in the file."""
        names = self.params_of_the_last_run()
        return {name: _at(self.params, name.split(".")) for name in names}


def facts(claim: Claim, project: Project) -> dict[str, Any]:
    """What the project says today about a claim: its fields that can be looked up."""
    root = project.root
    match claim:
        case Earned():
            run = Sister(root, claim.pipeline) if claim.pipeline else project
            return {
                "params": digest(run.params_of(claim.changes)),
                "data": run.data_md5(),
                "sources": {path: md5(root / path) for path in claim.sources},
                "values": {key: measured(root, key) for key in claim.values},
            }
        case Bench():
            return {"sources": {path: md5(root / path) for path in claim.sources}}
        case Setting():
            return {"values": {key: _constant(root, key) for key in claim.values}}
    return {}


def problems(root: Path, claims: Mapping[str, Claim]) -> list[str]:
    """Where the ledger and what was measured disagree, a line each."""
    project = Project(root)
    found = [
        f"{NAME}: {name}: {line}"
        for name, claim in claims.items()
        for field, now in facts(claim, project).items()
        for line in _differences(field, getattr(claim, field), now)
    ]
    for run in (project, *_sisters(root, claims)):
        if run.params_of_the_last_run() != run.params_now():
            lock = (run.folder / "dvc.lock").relative_to(root)
            found.append(f"{lock}: the last run had other params than params.yaml: `dvc repro`")
    return found


def accept(root: Path) -> list[str]:
    """Write what was measured into the ledger, which is otherwise left as it is.

    Returns the names of the claims that changed.

    Raises:
        RetuneError: where params or data have changed, but the figures are those of before.
    """
    from dvc.utils.serialize import modify_yaml

    project, claims = Project(root), load(root)
    now = {name: facts(claim, project) for name, claim in claims.items()}
    changed = {
        name: {
            field: value for field, value in found.items() if getattr(claims[name], field) != value
        }
        for name, found in now.items()
    }
    runs = project, *_sisters(root, claims)
    outs = {out["path"] for run in runs for stage in run.lock.values() for out in stage["outs"]}
    unearned = [
        name
        for name, fields in changed.items()
        if fields.keys() & {"params", "data"}
        and "sources" not in fields
        and now[name]["sources"].keys() - outs  # DVC itself watches over its outputs
    ]
    if unearned:
        raise RetuneError(
            f"{NAME}: params or data have changed since {listed(unearned)} came out; earn them "
            "again first (`dvc repro`, `make variants`)"
        )
    with modify_yaml(str(root / NAME)) as document:
        for name, fields in changed.items():
            document["claims"][name].update(fields)
    return sorted(name for name, fields in changed.items() if fields)


def _sisters(root: Path, claims: Mapping[str, Claim]) -> Iterator[Sister]:
    """The pipelines beside the main one that claims are made of."""
    folders = {c.pipeline for c in claims.values() if isinstance(c, Earned) and c.pipeline}
    return (Sister(root, folder) for folder in sorted(folders))


def digest(params: Mapping[str, Any]) -> str:
    """Twelve digits that change with any of the params."""
    text = orjson.dumps(params, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:12]


def md5(path: Path) -> str:
    """The MD5 of a file, which DVC uses, too."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except FileNotFoundError:
        raise RetuneError(f"{NAME}: {path}: no such file, though a claim names it") from None


def measured(root: Path, key: str) -> float:
    """The number at `file#place`: keys with slashes between them, or the name of a row."""
    file, _, place = key.partition("#")
    value = _at(read_json(root / file), place.split("/"), key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RetuneError(f"{NAME}: {key}: expected a number there, found {value!r}")
    return value


def _at(value: Any, keys: list[str], whole: str = "") -> Any:
    for key in filter(None, keys):
        if isinstance(value, list):
            rows = [row for row in value if key in (row.get(name) for name in _ROW_NAMES)]
            value = {key: rows[0]} if len(rows) == 1 else {}
        if not isinstance(value, dict) or key not in value:
            raise RetuneError(f"{NAME}: {whole or '.'.join(keys)}: there is no {key}")
        value = value[key]
    return value


def _resolved(name: str, values: Mapping[str, Any]) -> str:
    """A param's name with `${qa.model}` and the like filled in."""
    before, found, rest = name.partition("${")
    if not found:
        return name
    key, _, after = rest.partition("}")
    return _resolved(f"{before}{_at(values, key.split('.'))}{after}", values)


def _constant(root: Path, key: str) -> float:
    """The number that a module of the project assigns to a name, read off its source."""
    file, _, name = key.partition("#")
    for node in ast.parse((root / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            return cast(float, ast.literal_eval(node.value))
    raise RetuneError(f"{NAME}: {key}: no such constant")


def _differences(field: str, stated: Any, now: Any) -> Iterator[str]:
    if not isinstance(now, dict):
        stated, now = {field: stated}, {field: now}
    for key, value in now.items():
        if stated[key] != value:
            yield (
                f"{field}: {key} is {value}, the ledger says {stated[key]}; if it is right as "
                "it is: `python docs/generate.py --accept`"
            )
