"""The user's own files: local paths or URLs, any number a split, any supported form."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.errors import RetuneError
from retune.fetching import Source, local_source, url_source
from retune.params import STRICT

_WEB = ("http://", "https://")


@dataclass(frozen=True, config=STRICT)
class File:
    """A file: a path (from the project's top folder) or an http(s) URL, and its SHA-256.

    The sum stands for the content: it verifies a download, and tells DVC that a local file
    has changed. A path without one is refused with the sum to put there.
    """

    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None

    def __post_init__(self) -> None:
        if self.path.startswith(_WEB):
            if self.sha256 is None:
                raise ValueError("a URL needs its sha256 beside it")
        elif "://" in self.path:
            raise ValueError("only http:// and https:// URLs and local paths are read")


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.files`: the files of each split."""

    train: list[File]
    validation: list[File]


def sources(params: Params) -> dict[str, list[Source]]:
    """The files, downloaded where they are URLs; each split needs at least one."""
    splits = {"train": params.train, "validation": params.validation}
    for split, files in splits.items():
        if not files:
            raise RetuneError(f"qa.datasets.files.{split} in params.yaml names no file; add some")
    return {split: [_source(file) for file in files] for split, files in splits.items()}


def _source(file: File) -> Source:
    if file.path.startswith(_WEB) and file.sha256 is not None:
        return url_source(file.path, file.sha256)
    source = local_source(Path(file.path), file.sha256)
    if file.sha256 is None:
        raise RetuneError(
            f"{file.path}: no sha256 in params.yaml, so that DVC could not see the file change; "
            f"put `sha256: {source.sha256}` beside its path"
        )
    return source
