"""Faults of single values of a question, and of an id that is not unique."""

import re
from collections.abc import Iterator
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.characters import lone_surrogate
from retune.ingest.findings import typed
from retune.tasks.qa.download.reading import Record

LONGEST_ID = 512

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
#: Another remedy for an id that is not unique.
_REPEATED = ", or set `qa.download.repeated_ids: first` or `last`"


def repeated_id(first: Record, record: Record) -> tuple[str, str, str]:
    """(kind, field, message) of an id that an earlier question has."""
    here, there = record.values["id"], first.values["id"]
    place = f"{first.file}: {first.where}"
    if type(here) is not type(there):
        message = f"the ids {typed(here)} here and {typed(there)} at {place} are one as text"
        return "duplicate_id", "id", f"{message}; change one"
    if first.values == record.values:
        message = f"the id is already at {place} with the same content; delete one{_REPEATED}"
        return "duplicate_id_same", "id", message
    message = f"the id is already at {place} with other content; change one{_REPEATED}"
    return "duplicate_id", "id", message


def fault_of_id(value: str) -> str:
    """Say what is wrong with an id; "" if nothing."""
    if not _CONTROL.search(value) and len(value) <= LONGEST_ID:
        return ""
    return f"{excerpt(value)} has control characters or over {LONGEST_ID} characters"


def fault_of_field(value: Any, field: str, *, may_be_blank: bool) -> tuple[str, str] | None:
    """(kind, message) of what is wrong with a field that must be a string."""
    if not isinstance(value, str):
        return "wrong_type", f"{typed(value)} is not a string; write a string"
    if not value.strip() and not may_be_blank:
        return "empty_field", f"the {field} is empty"
    message = lone_surrogate(value)
    return ("lone_surrogate", message) if message else None


def faults_of_text(value: Any) -> Iterator[tuple[str, str, str]]:
    """(kind, field, message) of each fault of an answer's text."""
    if not isinstance(value, str):
        yield "wrong_type", "text", f"the text {typed(value)} is not a string"
    elif message := lone_surrogate(value):
        yield "lone_surrogate", "text", f"{message}, in {excerpt(value)}"


def faults_of_start(start: Any) -> Iterator[tuple[str, str, str]]:
    """(kind, field, message) of each fault of an answer's offset."""
    if type(start) is not int:
        message = f"the answer_start {typed(start)} is not an integer; write it as one"
        yield "wrong_type", "answer_start", message
