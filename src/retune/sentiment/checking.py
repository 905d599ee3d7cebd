"""Rows to examples: every fault of every row found and named with its place.

The download stage stops at errors. What was dropped or is merely worth knowing becomes a
note, so that nothing happens in silence.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from retune.errors import excerpt, listed
from retune.qa.findings import Finding
from retune.sentiment.examples import LABELS, Example
from retune.sentiment.rows import Record
from retune.sentiment.texts import sameness

#: What to do about rows that stand in each other's way.
Policy = Literal["error", "drop", "keep"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_WITHHELD = "-1"


@dataclass
class Split:
    """The rows of one split, as far as they have been checked.

    A row's id is the split's name and the row's number in it, from 1 and over all files: data
    sets of sentences seldom bring ids, and a prediction can so be found in the file again.

    Attributes:
        name: `train` or `validation`.
        examples: the rows that are sound, in file order.
        findings: errors and notes.
        places: file and place of each sound row, by id.
        read: how many rows there were, sound or not.
    """

    name: str
    examples: list[Example] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    read: int = 0

    def add(self, items: Iterable[Record | Finding], labels: Mapping[str, str]) -> None:
        """Check what `read_records` gave for a file whose labels mean `labels`."""
        for item in items:
            self.read += 1
            if isinstance(item, Finding):
                self.findings.append(item)
                continue
            findings = [*_faults_of_text(item), *_faults_of_label(item, labels)]
            self.findings += findings
            if all(finding.severity == "note" for finding in findings):
                name = f"{self.name}-{self.read}"
                label = LABELS.index(labels[str(item.label)])
                self.examples.append(Example(name, item.text, label, None, None))
                self.places[name] = (item.file, item.where)

    def settle(self, kind: str, found: Mapping[str, str], policy: Policy, setting: str) -> None:
        """Do with the rows in `found` (id to message) what `policy` says, and tell of each."""
        if policy == "drop":
            self.examples = [e for e in self.examples if e.id not in found]
        advice = {
            "error": f"; delete or change one, or set `sentiment.download.{setting}: drop`",
            "drop": "; left out",
            "keep": "",
        }
        for name, message in found.items():
            file, where = self.places[name]
            severity: Literal["error", "note"] = "error" if policy == "error" else "note"
            said = f"dropped_{kind}" if policy == "drop" else kind
            finding = Finding(said, severity, file, where, "", message + advice[policy])
            self.findings.append(finding)


def contradictions(split: Split) -> dict[str, str]:
    """All rows whose text stands in the split under both labels, by id, with a message."""
    groups = _groups(split.examples)
    found = {}
    for group in groups.values():
        for example in group:
            other = next((e for e in group if e.label != example.label), None)
            if other is not None:
                found[example.id] = (
                    f"{excerpt(example.text)} is {LABELS[example.label]} here and "
                    f"{LABELS[other.label]} at {_place(split, other)}"
                )
    return found


def duplicates(split: Split) -> dict[str, str]:
    """All rows whose text and label stand in the split before, by id, with a message."""
    found = {}
    for group in _groups(split.examples).values():
        first: dict[int, Example] = {}
        for example in group:
            earlier = first.setdefault(example.label, example)
            if earlier is not example:
                message = f"{excerpt(example.text)} stands already at {_place(split, earlier)}"
                found[example.id] = message
    return found


def overlap(train: Split, validation: Split) -> dict[str, str]:
    """All rows of train whose text stands in validation too, by id, with a message."""
    known = {sameness(example.text): example for example in reversed(validation.examples)}
    found = {}
    for example in train.examples:
        if other := known.get(sameness(example.text)):
            place = _place(validation, other)
            found[example.id] = f"{excerpt(example.text)} is also in validation, at {place}"
    return found


def _groups(examples: Iterable[Example]) -> dict[str, list[Example]]:
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[sameness(example.text)].append(example)
    return groups


def _place(split: Split, example: Example) -> str:
    return ": ".join(split.places[example.id])


def _faults_of_text(record: Record) -> Iterable[Finding]:
    value = record.text
    if not isinstance(value, str):
        yield _error(record, "wrong_type", f"the text {_typed(value)} is not a string")
    elif not value.strip():
        yield _error(record, "empty_field", "the text is empty; fill it, or delete the row")
    elif not value.isascii() and (half := _SURROGATE.search(value)):
        message = f"half of a surrogate pair, {excerpt(half[0])}, at offset {half.start()}"
        yield _error(record, "lone_surrogate", f"{message}; export the file again")
    elif found := _CONTROL.findall(value):
        message = f"{len(found)} control characters, the first {excerpt(found[0])}"
        yield Finding("control_characters", "note", record.file, record.where, "", message)


def _faults_of_label(record: Record, labels: Mapping[str, str]) -> Iterable[Finding]:
    value = record.label
    allowed = listed([excerpt(label) for label in labels])
    if type(value) not in (str, int):
        message = f"the label {_typed(value)} is neither a string nor an integer"
        yield _error(record, "wrong_type", f"{message}; allowed: {allowed}")
    elif str(value) not in labels:
        told = f"no label {excerpt(str(value))}; allowed: {allowed}"
        if str(value) == _WITHHELD:
            told += " (-1 marks a label that is withheld, as in a test split; take another split)"
        yield _error(record, "unknown_label", told)


def _error(record: Record, kind: str, message: str) -> Finding:
    return Finding(kind, "error", record.file, record.where, "", message)


def _typed(value: Any) -> str:
    return f"{excerpt(value)} ({type(value).__name__})"
