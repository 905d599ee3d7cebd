"""Data files that the params list: paths inside a folder, or URLs with their SHA-256."""

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

    A URL needs the sum; for a path it may be null.
    """

    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None

    def __post_init__(self) -> None:
        if self.path.startswith(_WEB):
            if self.sha256 is None:
                raise ValueError("a URL needs its sha256 beside it")
            urlsplit(self.path)  # raises ValueError if it is not a URL
        elif "://" in self.path:
            raise ValueError("only http:// and https:// URLs and local paths are read")


def file_source(folder: Path, file: File, section: str, remedy: str = PATHS) -> Source:
    """Return the verified file, downloaded if it is a URL; `section` of the params lists it.

    `remedy` is the advice if there is no file.

    Raises:
        RetuneError: it is absent, outside `folder`, unreachable, or has another sum.
    """
    if file.path.startswith(_WEB) and file.sha256 is not None:
        return url_source(file.path, file.sha256)
    return local_source(file_inside(folder, file.path, section), file.sha256, remedy)
