"""The ledger: a file of JSON lines in which each entry holds the hash of the one before it.

A line that is changed, taken out or put in breaks the chain. The chain alone could be written
anew, so git keeps each state of the file as a commit of the ref `refs/retune/tries`, too.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import orjson

from retune.core.errors import RetuneError
from retune.core.files import atomic_path
from retune.tools.project.commands import git

LEDGER = "tries.jsonl"
REF = "refs/retune/tries"
#: `plan` fixes a search, `try` and `end` announce runs, `result` has their figures.
Kind = Literal["plan", "try", "result", "end"]
Entry = dict[str, Any]

_FIRST = "0" * 64
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "retune"), ("EMAIL", "retune@localhost"))
}
_RESTORE = f"restore it with `git show {REF}:{LEDGER} > {LEDGER}`"


def digest(value: Any) -> str:
    """Return the SHA-256 of a value as canonical JSON: sorted keys, no blanks."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Ledger:
    """The entries of all searches of a project, the last one last.

    Args:
        folder: of the project, a git repository.

    Raises:
        RetuneError: the file was changed by something else than `append`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / LEDGER
        self._tip = _tip(folder)
        text = self._path.read_text(encoding="utf-8") if self._path.is_file() else ""
        self.entries = _checked(_lines(text))
        self._text = self._recorded(_lines(text))

    def append(self, kind: Kind, **content: Any) -> Entry:
        """Add an entry, first to git and then to the file."""
        before = self.entries[-1]["sha256"] if self.entries else _FIRST
        entry: Entry = {"kind": kind, **content, "before": before}
        entry = json.loads(orjson.dumps(entry))  # as it is read again
        entry["sha256"] = digest(entry)
        self._text += orjson.dumps(entry).decode() + "\n"
        with atomic_path(self._path) as path:
            path.write_text(self._text, encoding="utf-8", newline="\n")
            self._tip = _commit(self._folder, path, self._tip, entry["sha256"])
        self.entries.append(entry)
        return entry

    def _recorded(self, lines: Sequence[str]) -> str:
        """Return what git keeps of the file.

        Raises:
            RetuneError: the file has other lines.
        """
        if lines and not self._tip:
            raise RetuneError(
                f"{LEDGER}: git has no {REF}, which keeps its entries; fetch it from where the "
                f"search ran: git fetch origin {REF}:{REF}"
            )
        text = f"{git(self._folder, 'show', f'{self._tip}:{LEDGER}')}\n" if self._tip else ""
        for number, (ours, recorded) in enumerate(zip_longest(lines, _lines(text)), 1):
            if ours != recorded:
                found = "is missing" if ours is None else "is not the one"
                raise RetuneError(f"{LEDGER}: line {number} {found} that {REF} keeps; {_RESTORE}")
        return text


def _lines(text: str) -> list[str]:
    """Return the lines of a ledger; `splitlines` would also divide within some texts."""
    return text.removesuffix("\n").split("\n") if text else []


def _checked(lines: Sequence[str]) -> list[Entry]:
    """Return the entries of a ledger.

    Raises:
        RetuneError: the chain of hashes is broken; the message names the first such line.
    """
    entries: list[Entry] = []
    before = _FIRST
    for number, line in enumerate(lines, 1):
        entry = _parsed(line)
        if entry.get("before") != before or entry.get("sha256") != _sum(entry):
            raise RetuneError(
                f"{LEDGER}: line {number} was changed, or lines before it were: its hash does not "
                f"fit; {_RESTORE}"
            )
        before = entry["sha256"]
        entries.append(entry)
    return entries


def _parsed(line: str) -> Entry:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _sum(entry: Entry) -> str:
    return digest({key: value for key, value in entry.items() if key != "sha256"})


def _tip(folder: Path) -> str:
    """Return the last commit of the ref, or nothing if there is none.

    Raises:
        RetuneError: the folder is not in a git repository.
    """
    return git(folder, "for-each-ref", "--format=%(objectname)", REF)


def _commit(folder: Path, path: Path, parent: str, message: str) -> str:
    """Keep the file in a new commit of the ref, and return it."""
    blob = git(folder, "hash-object", "-w", "--no-filters", "--", str(path.resolve()))
    index = path.with_name(f".{LEDGER}.index.partial")
    env = {**os.environ, **_AUTHOR, "GIT_INDEX_FILE": str(index.resolve())}
    try:
        git(folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},{LEDGER}", env=env)
        tree = git(folder, "write-tree", env=env)
    finally:
        index.unlink(missing_ok=True)
    parents: Sequence[str] = ("-p", parent) if parent else ()
    commit = git(folder, "commit-tree", tree, *parents, "-m", message, env=env)
    git(folder, "update-ref", "-m", "retune try", REF, commit, parent or "0" * 40)
    return commit
