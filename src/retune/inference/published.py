"""Folders that `retune publish` wrote: a model with its settings, and the sums of its files.

Such a folder may have files that retune did not write, because a hub adds some, and its README may
have been edited. Only the files by which questions are answered must be unchanged.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError, excerpt, listed
from retune.core.files import sha256
from retune.core.plain_files import read_bytes

#: The file that makes a folder a published one.
NAME = "retune.json"
#: The settings by which its model answers.
PARAMS = "params.yaml"
#: Endings of files that a model or a tokenizer may be loaded from.
_READABLE = (".bin", ".json", ".model", ".safetensors", ".txt")
#: How a number is written.
Form = Literal[",.2f", ",.1f", ",.0f", ",d"]
_Sum = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Claim:
    """A number that the model card states.

    Attributes:
        name: what it is.
        value: not rounded.
        form: format by which it is stated.
        text: as the card states it.
        source: the file in the folder that it comes from, with its place behind a `#`.
    """

    name: str
    value: Annotated[float, Field(allow_inf_nan=False)]
    form: Form
    text: str
    source: str


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class RunPlace:
    """Where the run is.

    Attributes:
        commit: 40 digits.
        lock: SHA-256 of its dvc.lock.
        pipeline: folder from the project's top.
        test: folder of the test questions from there.
    """

    commit: str
    lock: str
    pipeline: str
    test: str


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Published:
    """The content of `retune.json`.

    Attributes:
        form: version of this file's form.
        retune: version of retune that wrote the folder.
        variant: the module of `retune.tasks.qa.models` that was trained.
        squad_v2: whether it was trained on unanswerable questions, too.
        model: SHA-256 of the manifest of the model in its run.
        run: that trained and scored it.
        environment: processor and libraries of the training.
        reads: the files by which questions are answered.
        files: the SHA-256 of each file but this one.
        claims: the numbers of the model card.
    """

    form: Literal[1]
    retune: str
    variant: str
    squad_v2: bool
    model: _Sum
    run: RunPlace
    environment: list[str]
    reads: list[str]
    files: dict[str, _Sum]
    claims: list[Claim]


def is_published(folder: Path) -> bool:
    """Whether `retune publish` wrote a folder."""
    return (folder / NAME).is_file()


def read_record(folder: Path) -> Published:
    """Read `retune.json`.

    Raises:
        RetuneError: it is damaged, or of another version of retune.
    """
    try:
        found = TypeAdapter(Published).validate_json(read_bytes(folder / NAME))
    except ValidationError as error:
        places = [".".join(map(str, each["loc"])) or "JSON" for each in error.errors()]
        raise RetuneError(
            f"{folder / NAME}: {listed(places)} missing or wrong; publish the model again, or use "
            "the version of retune that wrote the folder"
        ) from None
    names = {*found.files, found.run.pipeline, found.run.test}
    unknown = {*found.reads, *(_file(claim) for claim in found.claims)} - {*found.files}
    if unknown:
        raise RetuneError(f"{folder / NAME}: {listed(sorted(unknown))} not among its files")
    if bad := [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise RetuneError(f"{folder / NAME}: {listed(bad)} outside of the folder")
    return found


def read_published(folder: Path) -> Published:
    """Read `retune.json`, and check the files by which questions are answered.

    Raises:
        RetuneError: one of them is missing or changed, or the record is damaged.
    """
    found = read_record(folder)
    changed = changed_files(folder, found, found.reads)
    if changed:
        raise RetuneError(
            f"{folder / changed[0]}: missing, damaged or changed since it was published; get the "
            "folder again"
        )
    added = {path.name for path in folder.iterdir() if path.suffix in _READABLE} - {NAME}
    if strange := sorted(added - {*found.files}):
        raise RetuneError(
            f"{folder / strange[0]}: not of the published model, and it could change its answers; "
            "remove it"
        )
    return found


def _file(claim: Claim) -> str:
    return claim.source.partition("#")[0]


def changed_files(folder: Path, record: Published, names: list[str] | None = None) -> list[str]:
    """Return which of the files in `names` are missing or changed; by default of all files."""
    return [
        name
        for name in sorted(record.files if names is None else names)
        if not (folder / name).is_file() or sha256(folder / name) != record.files.get(name)
    ]


def from_hub(name: str, revision: str) -> Path | None:
    """Return a folder with a published model of the Hugging Face hub; None if it is not one.

    Args:
        name: such as `ada/reader`.
        revision: a commit.
    """
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        record = hf_hub_download(name, NAME, revision=revision, local_files_only=True)
    except HFValidationError:
        return None  # the search for a model without a record says what is wrong
    except LocalEntryNotFoundError:
        try:
            about = HfApi().model_info(name, revision=revision, timeout=8)
        except Exception:  # likewise
            return None
        if NAME not in {file.rfilename for file in about.siblings or ()}:
            return None
        record = _fetched(name, lambda: hf_hub_download(name, NAME, revision=revision))
    patterns = [NAME, *read_record(Path(record).parent).reads]
    return Path(
        _fetched(name, lambda: snapshot_download(name, revision=revision, allow_patterns=patterns))
    )


def _fetched(name: str, fetch: Callable[[], str]) -> str:
    try:
        return fetch()
    except Exception as error:  # of the network, or of whatever a server may answer
        raise RetuneError(
            f"{name}: not all of its files could be fetched ({type(error).__name__}: "
            f"{excerpt(str(error), 200)}); check the network, and run it again"
        ) from None
