"""The splits of a data set of texts: what the download stages of all such tasks check alike.

A task says what else a row has, and which rows stand in each other's way.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from retune.core.errors import RetuneError, excerpt
from retune.core.files import atomic_path, write_json_lines
from retune.core.user_files import file_inside
from retune.fetch.fetching import Source, local_source
from retune.ingest.dedup_key import sameness
from retune.ingest.findings import Finding
from retune.ingest.subsample import LimitParams, limited

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


def write_splits(
    raw: Path,
    checked: Callable[[], Mapping[str, Split[T]]],
    *,
    sources: Mapping[str, Sequence[Source]],
    params: LimitParams,
    section: str,
    write: Callable[[Path, list[T]], object],
    counts: Callable[[list[T], Split[T]], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Make the folder `raw`: each split, limited, as <name>.jsonl, and what was found of all.

    Args:
        raw: appears whole or not at all.
        checked: reads the splits, and raises what is wrong with them.
        sources: the files of each split.
        params: the limits.
        section: what names `params`, for a message.
        write: writes rows to a file.
        counts: what to tell of the rows that are kept of a split.

    Returns:
        The counts, an entry a split, with its files and its limit.

    Raises:
        RetuneError: no row of a split is left.
    """
    report = []
    with atomic_path(raw) as folder:
        folder.mkdir()  # before the work, so that a read-only disk is known at once
        splits = checked()
        for name, split in splits.items():
            limit = params.limits[name]
            kept = limited(split.rows, limit, params.sample_seed)
            if not kept:
                raise RetuneError(f"{name}: no text is left; see {section} in the params")
            write(folder / f"{name}.jsonl", kept)
            files = [{"name": source.name, "sha256": source.sha256} for source in sources[name]]
            report.append({"split": name, "files": files, "limit": limit, **counts(kept, split)})
        rows = (finding_row(name, f) for name, split in splits.items() for f in split.findings)
        write_json_lines(folder / "findings.jsonl", rows)
    return report


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
