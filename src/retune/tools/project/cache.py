"""The DVC cache of a project."""

from functools import cached_property
from pathlib import Path


class Cache:
    """The contents of a project's DVC cache.

    Args:
        root: the project's top.
    """

    def __init__(self, root: Path) -> None:
        self._config = root / ".dvc"

    def has(self, md5: str) -> bool:
        """Whether `dvc checkout` can restore the file or folder with this sum."""
        return (self.folder / "files/md5" / md5[:2] / md5[2:]).is_file()

    @cached_property
    def folder(self) -> Path:
        """The folder of the cache, which may be missing."""
        from configparser import ConfigParser

        config = ConfigParser(interpolation=None, strict=False)
        config.read([self._config / "config", self._config / "config.local"], encoding="utf-8")
        return self._config / config.get("cache", "dir", fallback="cache")
