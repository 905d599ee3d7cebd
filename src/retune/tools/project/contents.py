"""DVC's sums of files and folders."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

#: Size in bytes above which only the sizes of files and folders are compared.
LARGEST = 2**24
#: The key of the sum if a path is a file.
ITSELF = ""


def md5_of(content: bytes) -> str:
    """Return the sum of a file's content."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def combined(sums: Mapping[str, str]) -> str:
    """Return the sum in dvc.lock of a file (under `ITSELF`) or folder with these files' sums."""
    if ITSELF in sums:
        return sums[ITSELF]
    listing = [{"md5": md5, "relpath": name} for name, md5 in sorted(sums.items())]
    return md5_of(json.dumps(listing, sort_keys=True).encode()) + ".dir"


class Workspace:
    """The files in a DVC project that its .dvcignore does not exclude.

    Args:
        root: the project's top; all paths are relative to it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[str, dict[str, Path]] = {}
        self._sums: dict[str, dict[str, str]] = {}

    def sums(self, path: str) -> dict[str, str]:
        """Return the sum of each file below a folder, or of the file at `path` as `ITSELF`."""
        if path not in self._sums:
            files = self._listed(path).items()
            self._sums[path] = {name: md5_of(file.read_bytes()) for name, file in files}
        return self._sums[path]

    def differs(self, path: str, entry: Mapping[str, Any]) -> str | None:
        """Return `missing` or `changed` if a path differs from its entry in dvc.lock."""
        if not (self.root / path).exists():
            return "missing"
        files = self._listed(path)
        size = sum(file.stat().st_size for file in files.values())
        if size != entry.get("size", size) or len(files) != entry.get("nfiles", len(files)):
            return "changed"
        if size > LARGEST or combined(self.sums(path)) == entry.get("md5"):
            return None
        return "changed"

    def ignores(self, path: str) -> bool:
        """Whether .dvcignore excludes a file or (with a final /) a folder."""
        return not path.startswith("..") and self._ignored.match_file(path)

    def _listed(self, path: str) -> dict[str, Path]:
        if path not in self._files:
            place = self.root / path
            found = {ITSELF: place} if place.is_file() else dict(self._below(place, path))
            self._files[path] = found
        return self._files[path]

    def _below(self, place: Path, path: str) -> Iterator[tuple[str, Path]]:
        for folder, folders, names in os.walk(place):
            inside = Path(folder).relative_to(place)
            seen = f"{path}/{inside.as_posix()}" if inside.name else path
            folders[:] = [name for name in folders if not self.ignores(f"{seen}/{name}/")]
            for name in names:
                if not self.ignores(f"{seen}/{name}"):
                    yield (inside / name).as_posix(), Path(folder, name)

    @cached_property
    def _ignored(self) -> GitIgnoreSpec:
        rules = self.root / ".dvcignore"
        lines = rules.read_text(encoding="utf-8").splitlines() if rules.is_file() else []
        return GitIgnoreSpec.from_lines(lines)
