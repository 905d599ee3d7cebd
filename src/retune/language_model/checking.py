"""Records to texts: every fault of every text found and named with its place.

The download stage stops at errors. What was dropped or is merely worth knowing becomes a
note, so that nothing happens in silence.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from retune.errors import excerpt
from retune.language_model.reading import Record
from retune.language_model.texts import Text
from retune.qa.findings import Finding
from retune.sentiment.texts import sameness

#: What to do about texts that stand in each other's way.
Policy = Literal["error", "drop", "keep"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass
class Split:
    """The texts of one split, as far as they have been checked.

    Attributes:
        name: `train` or `validation`.
        texts: those that are sound, in file order.
        findings: errors and notes.
        places: file and place of each sound text, by id.
        read: how many texts there were, sound or not.
    """

    name: str
    texts: list[Text] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    read: int = 0

    def add(self, items: Iterable[Record | Finding]) -> None:
        """Check what `read_records` gave for a file."""
        for item in items:
            self.read += 1
            if isinstance(item, Finding):
                self.findings.append(item)
                continue
            found = _fault(item)
            self.findings += [found] if found else []
            if found is None or found.severity == "note":
                name = f"{self.name}-{self.read}"
                self.texts.append(Text(name, item.text))
                self.places[name] = (item.file, item.where)

    def settle(self, kind: str, found: Mapping[str, str], policy: Policy, setting: str) -> None:
        """Do with the texts in `found` (id to message) what `policy` says, and tell of each."""
        if policy == "drop":
            self.texts = [text for text in self.texts if text.id not in found]
        advice = {
            "error": f"; delete one, or set `language_model.download.{setting}: drop`",
            "drop": "; left out",
            "keep": "",
        }
        severity: Literal["error", "note"] = "error" if policy == "error" else "note"
        said = f"dropped_{kind}" if policy == "drop" else kind
        for name, message in found.items():
            file, where = self.places[name]
            self.findings.append(Finding(said, severity, file, where, "", message + advice[policy]))

    def place(self, text: Text) -> str:
        """Where one of the sound texts stands."""
        return ": ".join(self.places[text.id])


def duplicates(split: Split) -> dict[str, str]:
    """All texts that stand in the split before, by id, with a message."""
    first: dict[str, Text] = {}
    found = {}
    for text in split.texts:
        earlier = first.setdefault(sameness(text.text), text)
        if earlier is not text:
            found[text.id] = f"{excerpt(text.text)} stands already at {split.place(earlier)}"
    return found


def overlap(train: Split, validation: Split) -> dict[str, str]:
    """All texts of train that stand in validation too, by id, with a message."""
    known = {sameness(text.text): text for text in reversed(validation.texts)}
    found = {}
    for text in train.texts:
        if other := known.get(sameness(text.text)):
            place = validation.place(other)
            found[text.id] = f"{excerpt(text.text)} is also in validation, at {place}"
    return found


def _fault(record: Record) -> Finding | None:
    value = record.text
    if not isinstance(value, str):
        told = f"{excerpt(value)} ({type(value).__name__})"
        return _error(record, "wrong_type", f"the text {told} is not a string")
    if not value.strip():
        return _error(record, "empty_field", "the text is empty; fill it, or delete it")
    if half := _SURROGATE.search(value):
        message = f"half of a surrogate pair, {excerpt(half[0])}, at offset {half.start()}"
        return _error(record, "lone_surrogate", f"{message}; export the file again")
    if found := _CONTROL.findall(value):
        message = f"{len(found)} control characters, the first {excerpt(found[0])}"
        return Finding("control_characters", "note", record.file, record.where, "", message)
    return None


def _error(record: Record, kind: str, message: str) -> Finding:
    return Finding(kind, "error", record.file, record.where, "", message)
