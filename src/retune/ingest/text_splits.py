"""Checks of a data set whose rows are texts, whatever else a row of the task has."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from retune.core.errors import excerpt
from retune.ingest.canonical import Checked
from retune.ingest.characters import control_characters, lone_surrogate
from retune.ingest.dedup_key import dedup_key
from retune.ingest.findings import Finding, typed

#: What to do about rows in conflict.
Policy = Literal["error", "drop", "keep"]


class Texted(Protocol):
    """A row that has a text."""

    @property
    def id(self) -> str:
        """See `Split`."""

    @property
    def text(self) -> str:
        """As the file gives it, or with its tokens joined."""


T = TypeVar("T", bound=Texted)


@dataclass
class Split(Generic[T]):
    """The rows of one split that have been checked so far.

    A row's id is the name of the split and the row's number in it, from 1 and over all files.
    Data sets of texts seldom have ids; by this one a prediction can be traced to its row.

    Attributes:
        name: `train` or `validation`.
        rows: the sound rows, in file order.
        findings: errors and notes.
        places: file and place of each sound row, by id.
        read: how many rows have been read, sound or not.
    """

    name: str
    rows: list[T] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    read: int = 0

    @property
    def last_id(self) -> str:
        """The id of the row that was read last."""
        return f"{self.name}-{self.read}"

    def keep(self, row: T, file: str, where: str) -> None:
        """Add a sound row and its place."""
        self.rows.append(row)
        self.places[row.id] = (file, where)

    def settle(self, kind: str, found: Mapping[str, str], policy: Policy, remedy: str) -> None:
        """Apply `policy` to the rows in `found` (id to message), with a finding for each.

        `remedy` says what to do about an error.
        """
        if policy == "drop":
            self.rows = [row for row in self.rows if row.id not in found]
        advice = {"error": f"; {remedy}", "drop": "; left out", "keep": ""}
        severity: Literal["error", "note"] = "error" if policy == "error" else "note"
        kind = f"dropped_{kind}" if policy == "drop" else kind
        for name, message in found.items():
            file, where = self.places[name]
            self.findings.append(Finding(kind, severity, file, where, "", message + advice[policy]))

    def place(self, row: T) -> str:
        """File and place of a sound row."""
        return ": ".join(self.places[row.id])


#: Kind of conflict, what finds its rows (id to message), and what to do about them.
Rule = tuple[str, Callable[[Split[T]], Mapping[str, str]], Policy]


def settled(
    train: Split[T],
    validation: Split[T],
    *,
    rules: Sequence[Rule[T]],
    overlaps: Policy,
    remedy: str,
) -> dict[str, Checked[T]]:
    """Apply the rules about conflicts within each split, then the one about rows in both.

    Args:
        train: its sound rows.
        validation: its sound rows.
        rules: about conflicts within a split.
        overlaps: what to do about rows of train whose text is in validation too.
        remedy: what to do about an error, with `{}` for the setting.
    """
    for split in (train, validation):
        for kind, find, policy in rules:
            split.settle(kind, find(split), policy, remedy.format(f"{kind}s"))
    train.settle("overlap", overlap(train, validation), overlaps, remedy.format("overlap"))
    return {s.name: Checked(s.rows, s.findings, s.read) for s in (train, validation)}


def overlap(train: Split[T], validation: Split[T]) -> dict[str, str]:
    """Rows of train whose text is in validation too: their ids, with a message for each."""
    known = {dedup_key(row.text): row for row in reversed(validation.rows)}
    found = {}
    for row in train.rows:
        if other := known.get(dedup_key(row.text)):
            place = validation.place(other)
            found[row.id] = f"{excerpt(row.text)} is also in validation, at {place}"
    return found


def faults_of_text(value: Any, file: str, where: str, whole: str) -> Iterator[Finding]:
    """Yield what is wrong with the value of a text; `whole` is what a user would delete."""
    if not isinstance(value, str):
        yield error(file, where, "wrong_type", f"the text {typed(value)} is not a string")
    elif not value.strip():
        message = f"the text is empty; fill it, or delete {whole}"
        yield error(file, where, "empty_field", message)
    elif message := lone_surrogate(value):
        yield error(file, where, "lone_surrogate", f"{message}; export the file again")
    elif message := control_characters(value):
        yield Finding("control_characters", "note", file, where, "", message)


def error(file: str, where: str, kind: str, message: str) -> Finding:
    """Return a finding that stops the stage."""
    return Finding(kind, "error", file, where, "", message)
