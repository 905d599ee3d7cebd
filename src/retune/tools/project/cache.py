"""The DVC cache of a project."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from yaml import YAMLError

from retune.core.errors import RetuneError
from retune.tools.project import locks


class Cache:
    """The contents of a project's DVC cache.

    Args:
        root: the project's top.
    """

    def __init__(self, root: Path) -> None:
        self._config = root / ".dvc"

    @cached_property
    def folder(self) -> Path:
        """The folder of the cache, which may be missing."""
        from configparser import ConfigParser

        config = ConfigParser(interpolation=None, strict=False)
        config.read([self._config / "config", self._config / "config.local"], encoding="utf-8")
        return self._config / config.get("cache", "dir", fallback="cache")

    def has(self, md5: str) -> bool:
        """Whether `dvc checkout` can restore the file or folder with this sum."""
        return self._path(md5).is_file()

    def listed(self, folder: str) -> dict[str, str] | None:
        """Return the MD5 of each file in the folder with this MD5; None if it is not known."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            listing = json.loads(self._path(folder).read_text(encoding="utf-8"))
            return {str(file["relpath"]): str(file["md5"]) for file in listing}
        return None

    def runs(self) -> Iterator[Mapping[str, Any]]:
        """Yield the runs that the cache remembers, in the form of stages in dvc.lock."""
        for path in (self.folder / "runs").glob("??/*/*"):
            with contextlib.suppress(OSError, YAMLError, AttributeError, ValueError, RetuneError):
                run = locks.parse(path.read_text(encoding="utf-8"))
                if isinstance(run, dict):
                    yield run

    def _path(self, md5: str) -> Path:
        return self.folder / "files/md5" / md5[:2] / md5[2:]
