"""The splits of a data set of texts: what the download stages of all such tasks check alike.

A task says what else a row has, and which rows stand in each other's way.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from retune.errors import RetuneError, excerpt
from retune.fetching import Source, local_source
from retune.own_files import file_inside
from retune.qa.findings import Finding
from retune.sentiment.texts import sameness

#: What to do about rows that stand in each other's way.
Policy = Literal["error", "drop", "keep"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class _Texted(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def text(self) -> str: ...


T = TypeVar("T", bound=_Texted)


@dataclass
class Split(Generic[T]):
    """The rows of one split, as far as they have been checked.

    A row's id is the split's name and the row's number in it, from 1 and over all files: data
    sets of texts seldom bring ids, and a prediction can so be found in the file again.

    Attributes:
        name: `train` or `validation`.
        rows: those that are sound, in file order.
        findings: errors and notes.
        places: file and place of each sound row, by id.
        read: how many rows there were, sound or not.
    """

    name: str
    rows: list[T] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    read: int = 0

    @property
    def last_id(self) -> str:
        """The id of the row that was read last, should it be sound."""
        return f"{self.name}-{self.read}"

    def keep(self, row: T, file: str, where: str) -> None:
        """Take a row that is sound, and that stands there."""
        self.rows.append(row)
        self.places[row.id] = (file, where)

    def settle(self, kind: str, found: Mapping[str, str], policy: Policy, remedy: str) -> None:
        """Do with the rows in `found` (id to message) what `policy` says, and tell of each.

        `remedy` says what to do about an error.
        """
        if policy == "drop":
            self.rows = [row for row in self.rows if row.id not in found]
        advice = {"error": f"; {remedy}", "drop": "; left out", "keep": ""}
        severity: Literal["error", "note"] = "error" if policy == "error" else "note"
        said = f"dropped_{kind}" if policy == "drop" else kind
        for name, message in found.items():
            file, where = self.places[name]
            self.findings.append(Finding(said, severity, file, where, "", message + advice[policy]))

    def place(self, row: T) -> str:
        """Where one of the sound rows stands."""
        return ": ".join(self.places[row.id])


def overlap(train: Split[T], validation: Split[T]) -> dict[str, str]:
    """All rows of train whose text stands in validation too, by id, with a message."""
    known = {sameness(row.text): row for row in reversed(validation.rows)}
    found = {}
    for row in train.rows:
        if other := known.get(sameness(row.text)):
            place = validation.place(other)
            found[row.id] = f"{excerpt(row.text)} is also in validation, at {place}"
    return found


def faults_of_text(value: Any, file: str, where: str, whole: str) -> Iterator[Finding]:
    """What is wrong with what stands in the place of a text; to delete it is to delete `whole`."""
    if not isinstance(value, str):
        told = f"{excerpt(value)} ({type(value).__name__})"
        yield error(file, where, "wrong_type", f"the text {told} is not a string")
    elif not value.strip():
        message = f"the text is empty; fill it, or delete {whole}"
        yield error(file, where, "empty_field", message)
    elif not value.isascii() and (half := _SURROGATE.search(value)):
        message = f"half of a surrogate pair, {excerpt(half[0])}, at offset {half.start()}"
        yield error(file, where, "lone_surrogate", f"{message}; export the file again")
    elif found := _CONTROL.findall(value):
        message = f"{len(found)} control characters, the first {excerpt(found[0])}"
        yield Finding("control_characters", "note", file, where, "", message)


def error(file: str, where: str, kind: str, message: str) -> Finding:
    """A finding that stops the stage."""
    return Finding(kind, "error", file, where, "", message)


def finding_row(split: str, finding: Finding) -> dict[str, str]:
    """A finding as a line of findings.jsonl."""
    return {
        "split": split,
        "file": finding.file,
        "where": finding.where,
        "kind": finding.kind,
        "detail": finding.message,
    }


def own_sources(
    folder: Path, splits: Mapping[str, Sequence[str]], section: str
) -> dict[str, list[Source]]:
    """The user's files in a folder, by split; each split needs at least one.

    Raises:
        RetuneError: a split of the params' `section` has none, or one is not in the folder.
    """
    for split, names in splits.items():
        if not names:
            raise RetuneError(f"{section}.{split} in the params names no file; add some")
    return {
        split: [local_source(file_inside(folder, name, section), None) for name in names]
        for split, names in splits.items()
    }
