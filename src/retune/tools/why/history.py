"""Contents of files and folders in git's commits, read by one git process."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from retune.core.errors import RetuneError
from retune.tools.project.commands import git
from retune.tools.project.contents import ITSELF, combined, md5_of

#: Number of commits of a path that are searched, newest first.
MOST_COMMITS = 100
_FOLDER, _FILE = "40000", "100"


class History:
    """The commits of the git repository around a folder, newest first.

    Args:
        folder: all paths are relative to it; links in a path are followed.

    Raises:
        RetuneError: the folder is not in a git repository.
        FileNotFoundError: git is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._top = Path(git(folder, "rev-parse", "--show-toplevel"))
        self._sums: dict[str, str] = {}  # by git's object name
        self._process = subprocess.Popen(
            ["git", "cat-file", "--batch"],
            cwd=self._top,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def commits(self, path: str) -> list[str]:
        """Return short names of the newest commits that changed a path."""
        return self._log(f"-n{MOST_COMMITS}", "--", self._in_git(path))

    def commit_of(self, text: str, path: str) -> str | None:
        """Return the newest commit that added or removed a text in a file, or else the newest."""
        log = self._log("-n1", f"-S{text}", "--", self._in_git(path)) or self._log("-n1")
        return log[0] if log else None

    def find(
        self, path: str, md5: str, ignores: Callable[[str], bool]
    ) -> tuple[str, dict[str, str]] | None:
        """Return the newest commit in which a path has the sum `md5`, and its files' sums."""
        seen = set[bytes]()
        for commit in self.commits(path):
            content = self._read(f"{commit}:{self._in_git(path)}")
            if content is None or content[1] in seen:
                continue
            seen.add(content[1])
            sums = self.sums(commit, path, ignores)
            if combined(sums) == md5:
                return commit, sums
        return None

    def sums(self, commit: str, path: str, ignores: Callable[[str], bool]) -> dict[str, str]:
        """Return the sum of each file of a path in a commit, as `Workspace.sums` does.

        `ignores` gets paths relative to the folder.
        """
        content = self._read(f"{commit}:{self._in_git(path)}")
        if content is None:
            return {}
        kind, data = content
        if kind == "blob":
            return {ITSELF: md5_of(data)}
        found = self._below(data, "")
        return {name: self._sum(oid) for name, oid in found if not _left_out(path, name, ignores)}

    def _below(self, tree: bytes, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield the path and the object name of each file in a git tree."""
        for mode, name, oid in _parsed(tree):
            if mode.startswith(_FILE):
                yield prefix + name, oid
            elif mode == _FOLDER and (content := self._read(oid)):
                yield from self._below(content[1], f"{prefix}{name}/")

    def _sum(self, oid: str) -> str:
        if oid not in self._sums:
            content = self._read(oid)
            self._sums[oid] = md5_of(content[1] if content else b"")
        return self._sums[oid]

    def _read(self, name: str) -> tuple[str, bytes] | None:
        """Return kind and content of a git object, or None if it is missing."""
        given, answer = self._process.stdin, self._process.stdout
        assert given is not None
        assert answer is not None
        given.write(f"{name}\n".encode())
        given.flush()
        words = answer.readline().decode().rsplit(" ", 2)
        if not words[-1].strip().isdecimal():
            return None
        return words[1], answer.read(int(words[2]) + 1)[:-1]

    def _log(self, *arguments: str) -> list[str]:
        try:
            return git(self._top, "--literal-pathspecs", "log", "--format=%h", *arguments).split()
        except RetuneError:  # no commit yet, or a path elsewhere
            return []

    def _in_git(self, path: str) -> str:
        place = (self._folder / path).resolve()
        return Path(os.path.relpath(place, self._top.resolve())).as_posix()


def _parsed(tree: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield mode, name and object name of each entry of a git tree (SHA-1)."""
    place = 0
    while place < len(tree):
        end = tree.index(b"\0", place)
        mode, _, name = tree[place:end].decode(errors="surrogateescape").partition(" ")
        place = end + 21
        yield mode, name, tree[end + 1 : place].hex()


def _left_out(path: str, name: str, ignores: Callable[[str], bool]) -> bool:
    """Whether .dvcignore excludes a file of the folder `path` or a folder around the file."""
    parts = name.split("/")
    folders = ("/".join(parts[:end]) for end in range(1, len(parts)))
    return ignores(f"{path}/{name}") or any(ignores(f"{path}/{folder}/") for folder in folders)
