"""Data files that params name one by one: paths inside a folder, or URLs with their sums."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.core.user_files import file_inside
from retune.fetch.fetching import PATHS, Source, local_source, url_source

_WEB = ("http://", "https://")


@dataclass(frozen=True, config=STRICT)
class File:
    """A file: a path inside a folder or an http(s) URL, and its SHA-256.

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


def file_source(folder: Path, file: File, section: str, remedy: str = PATHS) -> Source:
    """The verified file, downloaded where it is a URL; `section` of the params names it.

    `remedy` is for a path where no file is.

    Raises:
        RetuneError: it is absent, elsewhere than in `folder`, out of reach, or has another sum.
    """
    if file.path.startswith(_WEB) and file.sha256 is not None:
        return url_source(file.path, file.sha256)
    return local_source(file_inside(folder, file.path, section), file.sha256, remedy)
