"""Folders that `retune publish` wrote: a model with its settings, and the sums of its files.

Such a folder may have files that retune did not write, because a hub adds some, and its README may
have been edited. Only the files by which questions are answered must be unchanged.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError, listed
from retune.core.files import sha256
from retune.core.plain_files import read_bytes

#: The file that makes a folder a published one.
NAME = "retune.json"
#: The settings by which its model answers.
PARAMS = "params.yaml"
_Sum = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Claim:
    """A number that the model card states.

    Attributes:
        name: what it is.
        value: not rounded.
        text: as the card states it.
        source: the file in the folder that it comes from, with its place behind a `#`.
    """

    name: str
    value: float
    text: str
    source: str


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Published:
    """The content of `retune.json`.

    Attributes:
        form: version of this file's form.
        retune: version of retune that wrote the folder.
        params: `qa.model` and `qa.squad_v2` of the training.
        model: SHA-256 of the manifest of the model in its run.
        run: commit, and SHA-256 of its dvc.lock.
        environment: processor and libraries of the training.
        reads: the files by which questions are answered.
        files: the SHA-256 of each file but this one.
        claims: the numbers of the model card.
    """

    form: Literal[1]
    retune: str
    params: dict[str, Any]
    model: _Sum
    run: dict[str, str]
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
    names = {*found.reads, *found.files}
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
    return found


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
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        record = hf_hub_download(name, NAME, revision=revision, local_files_only=True)
    except LocalEntryNotFoundError:
        try:
            about = HfApi().model_info(name, revision=revision, timeout=8)
        except Exception:  # the search for a model without a record says what is wrong
            return None
        if NAME not in {file.rfilename for file in about.siblings or ()}:
            return None
        record = hf_hub_download(name, NAME, revision=revision)
    reads = read_record(Path(record).parent).reads
    return Path(snapshot_download(name, revision=revision, allow_patterns=[NAME, *reads]))
