"""`claims.yaml`: a claim for every stated number, compared with measurements."""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from retune.core.errors import RetuneError, listed
from retune.core.files import read_json
from retune.core.params import STRICT, load_yaml
from retune.tools.claims import looks
from retune.tools.claims.project import NAME, Project, Sister, value_at
from retune.tools.project.yaml_editor import edited


class Place(BaseModel, frozen=True):
    """A place that states numbers: a generated part of a document, or exact words."""

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


class Reproduced(_Claim, frozen=True):
    """Numbers from DVC's stages, in a file under git."""

    kind: Literal["reproduced"]
    pipeline: str | None = None  # the folder of a sister pipeline
    changes: dict[str, Any] = {}  # params that differ from params.yaml
    params: str  # digest of all params of the stages, or of a sister's whole file
    data: str  # MD5 of the download stage's output, as in dvc.lock
    sources: dict[str, str]  # MD5 of each file
    values: dict[str, float]  # by file and place: metrics/qa.json#qa/f1
    tolerance: dict[str, float] = {}  # by the last word of the place, in the figure's unit
    retrain: bool = False  # small enough for a CPU: `retune verify --claims` trains it


class Bench(_Claim, frozen=True):
    """Numbers from a benchmark, in a file under git."""

    kind: Literal["bench"]
    command: str
    sources: dict[str, str]


class MeasuredOnce(_Claim, frozen=True):
    """Numbers measured once, by hand; no command repeats the measurement."""

    kind: Literal["measured once"]
    command: str
    data: str
    date: str
    machine: str


class Published(_Claim, frozen=True):
    """Published numbers, not reproduced here."""

    kind: Literal["published elsewhere, not re-run here"]
    source: str
    data: str
    values: dict[str, float]


class Setting(_Claim, frozen=True):
    """Constants of the code that a document repeats: src/retune/some.py#CONSTANT."""

    kind: Literal["setting"]
    values: dict[str, float]


Claim = Annotated[
    Reproduced | Bench | MeasuredOnce | Published | Setting, Field(discriminator="kind")
]


def load(root: Path) -> dict[str, Claim]:
    """Read the claims by name.

    Raises:
        RetuneError: a key is wrong, missing or unknown; the message names all of them.
    """
    claims = load_yaml(root / NAME).get("claims")
    try:
        # Parsed as JSON, because strict mode then accepts a list for a tuple.
        return TypeAdapter(dict[str, Claim]).validate_json(json.dumps(claims))
    except ValidationError as error:
        lines = [f"{NAME}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise RetuneError("\n".join(lines)) from None


def facts(claim: Claim, project: Project) -> dict[str, Any]:
    """Return the fields of a claim that can be looked up, with their current values."""
    root = project.root
    match claim:
        case Reproduced():
            run = project.sister(claim.pipeline) if claim.pipeline else project
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
    """Return a line for each difference between the ledger and the measurements."""
    project = Project(root)
    found = [
        f"{NAME}: {name}: {line}"
        for name, claim in claims.items()
        for field, now in facts(claim, project).items()
        for line in _differences(field, getattr(claim, field), now)
    ]
    runs = project, *_sisters(project, claims)
    uncounted = looks.missing(root, map(_folder, runs))
    for run in runs:
        lock = (run.folder / "dvc.lock").relative_to(root)
        if run.params_of_the_last_run() != run.params_now():
            found.append(f"{lock}: params.yaml has changed since the last run; run `dvc repro`")
        if _folder(run) in uncounted:
            found.append(
                f"{NAME}: looks: the test scores of the last run in {lock} are not counted; run "
                "`python docs/generate.py --accept`"
            )
    return found


def accept(root: Path) -> list[str]:
    """Write the measurements into the ledger, and return the names of the claims that changed.

    Raises:
        RetuneError: params or data have changed, but the figures are older.
    """
    project, claims = Project(root), load(root)
    now = {name: facts(claim, project) for name, claim in claims.items()}
    changed = {
        name: {
            field: value for field, value in found.items() if getattr(claims[name], field) != value
        }
        for name, found in now.items()
    }
    runs = project, *_sisters(project, claims)
    outs = {path for run in runs for path in run.outs()}
    stale = [
        name
        for name, fields in changed.items()
        if fields.keys() & {"params", "data"}
        and "sources" not in fields
        and now[name]["sources"].keys() - outs  # DVC itself checks its outputs
    ]
    if stale:
        raise RetuneError(
            f"{NAME}: params or data have changed since {listed(stale)} were computed; run them "
            "again first (`dvc repro`, `make variants`)"
        )
    with edited(root / NAME) as document:
        for name, fields in changed.items():
            document["claims"][name].update(fields)
        document["looks"] = looks.rows(root, map(_folder, runs))
    return sorted(name for name, fields in changed.items() if fields)


def _folder(run: Project) -> str:
    """Return the folder of a pipeline from the project's top; "" for the main one."""
    return run.folder.relative_to(run.root).as_posix().lstrip(".")


def _sisters(project: Project, claims: Mapping[str, Claim]) -> Iterator[Sister]:
    """Yield the sister pipelines that claims refer to."""
    folders = {c.pipeline for c in claims.values() if isinstance(c, Reproduced) and c.pipeline}
    return (project.sister(folder) for folder in sorted(folders))


def digest(params: Mapping[str, Any]) -> str:
    """Return the first twelve digits of the params' SHA-256."""
    text = orjson.dumps(params, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:12]


def md5(path: Path) -> str:
    """Return the MD5 of a file, as DVC does."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except FileNotFoundError:
        raise RetuneError(f"{NAME}: {path}: no such file, though a claim names it") from None


def measured(root: Path, key: str) -> float:
    """Return the number at `file#place`; a place is keys or names of rows, joined by slashes."""
    file, _, place = key.partition("#")
    value = value_at(read_json(root / file), place.split("/"), key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RetuneError(f"{NAME}: {key}: expected a number there, found {value!r}")
    return value


def _constant(root: Path, key: str) -> float:
    """Return the number that a module assigns to a name, read from its source."""
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
                f"{field}: {key} is {value}, but the ledger has {stated[key]}; to accept the new "
                "value, run `python docs/generate.py --accept`"
            )
