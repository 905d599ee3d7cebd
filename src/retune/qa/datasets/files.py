"""The user's own files: local paths or URLs, any number a split, any supported form."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.errors import RetuneError
from retune.fetching import Source, local_source, url_source
from retune.own_files import file_inside
from retune.params import STRICT

_WEB = ("http://", "https://")


@dataclass(frozen=True, config=STRICT)
class File:
    """A file: a path inside `folder` or an http(s) URL, and its SHA-256.

    The sum is needed for a URL; for a path it may be null.
    """

    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None

    def __post_init__(self) -> None:
        if self.path.startswith(_WEB):
            if self.sha256 is None:
                raise ValueError("a URL needs its sha256 beside it")
            urlsplit(self.path)  # raises ValueError for what is no URL
        elif "://" in self.path:
            raise ValueError("only http:// and https:// URLs and local paths are read")


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.files`: the files of each split.

    Local files stand in `folder` (from the project's top folder): it is a dep of the
    download stage, so that DVC sees when one of them changes.
    """

    folder: str
    train: list[File]
    validation: list[File]


def sources(params: Params) -> dict[str, list[Source]]:
    """The files, downloaded where they are URLs; each split needs at least one."""
    splits = {"train": params.train, "validation": params.validation}
    for split, files in splits.items():
        if not files:
            raise RetuneError(f"qa.datasets.files.{split} in params.yaml names no file; add some")
    folder = Path(params.folder)
    return {split: [_source(folder, file) for file in files] for split, files in splits.items()}


def _source(folder: Path, file: File) -> Source:
    if file.path.startswith(_WEB) and file.sha256 is not None:
        return url_source(file.path, file.sha256)
    return local_source(file_inside(folder, file.path, "qa.datasets.files"), file.sha256)
