"""Correct records, with a finding for each place that changes.

Nothing is invented, and contexts never change: each new value follows from the old value or from
the context. A second correction changes nothing.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.findings import Change, Finding
from retune.tasks.qa.download.converting import converted
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.reading import Record
from retune.tools.data_doctor.answer_repair import is_nested, mend_answers

#: What a question inherits from its article and its paragraph.
SHARED = ("title", "context")

_TRUTH: dict[Any, bool] = {"true": True, "false": False, 1: True, 0: False}


class Mender:
    """Corrects the records of one split, file by file.

    Attributes:
        findings: one for each corrected place, with its `Change`.
    """

    def __init__(self, *, drop: bool) -> None:
        """With `drop`, misaligned answers are left out if aligned ones remain."""
        self.findings: list[Finding] = []
        self._drop = drop
        self._taken: set[str] = set()
        self._first: dict[str, Record] = {}

    def mend(self, records: Iterable[Record]) -> list[Record]:
        """Correct the records of a file; second copies of a question are left out."""
        records = self._converted(list(records))
        self._taken |= {r.values["id"] for r in records if isinstance(r.values.get("id"), str)}
        has_flags = any("is_impossible" in record.values for record in records)
        mended = [self._mended(record) for record in records]
        for record in mended:
            if record.values.get("answers") == []:
                message = "no answers, and no is_impossible: true"
                self._complete(record, "impossible_unsaid", message, has_flags)
        if any(record.values.get("is_impossible") is not None for record in mended):
            for record in mended:
                message = "no is_impossible, though other questions of the file have it"
                self._complete(record, "mixed_versions", message, has_flags)
        return [record for record in mended if not self._is_copy(record)]

    def note(self, record: Record, kind: str, field: str, message: str, change: Change) -> None:
        """Add a finding for a corrected field of a record, or with "" for the whole record."""
        place = record.place(field) if field else record.where
        severity = KINDS[kind].severity
        finding = Finding(kind, severity, record.file, place, record.id, message, change)
        self.findings.append(finding)

    def _converted(self, records: list[Record]) -> list[Record]:
        """Convert offsets to code points."""
        mended, changes = converted(records)
        for one in changes:
            before, after = (
                {"answer_start": answer.start, "text": answer.text}
                for answer in (one.before, one.after)
            )
            message, change = str(one.conversion), Change(before, after)
            self.findings.append(one.finding("offset_units", message, change))
        return mended

    def _mended(self, record: Record) -> Record:
        record = replace(record, values=dict(record.values))
        self._to_string(record, "title", set())
        self._to_truth(record)
        mend_answers(record, self.note, drop=self._drop)
        self._to_string(record, "id", self._taken)
        return record

    def _to_string(self, record: Record, field: str, taken: set[str]) -> None:
        """Write an integer as a string, unless another question has the same string."""
        value = record.values.get(field)
        if type(value) is int and str(value) not in taken:
            message = f"{excerpt(value)} (int) is not a string"
            kind = "converted" if field == "id" else "wrong_type"
            self.note(record, kind, field, message, Change(value, str(value)))
            record.values[field] = str(value)

    def _to_truth(self, record: Record) -> None:
        value = record.values.get("is_impossible")
        plain = value.lower() if isinstance(value, str) else value
        if type(plain) in (str, int) and plain in _TRUTH:
            message = f"{excerpt(value)} is neither true nor false"
            change = Change(value, _TRUTH[plain])
            self.note(record, "wrong_type", "is_impossible", message, change)
            record.values["is_impossible"] = change.after

    def _complete(self, record: Record, kind: str, message: str, has_flags: bool) -> None:
        """Add `is_impossible`, unless no question of a flat file has it."""
        answers = record.values.get("answers")
        if record.values.get("is_impossible") is not None or not isinstance(answers, list):
            return
        change = Change(None, not answers)
        if has_flags or is_nested(record):
            self.note(record, kind, "is_impossible", message, change)
        record.values["is_impossible"] = change.after

    def _is_copy(self, record: Record) -> bool:
        name = record.values.get("id")
        if not isinstance(name, str) or not name:
            return False
        first = self._first.setdefault(name, record)
        if first is record or first.values != record.values:
            return False
        message = f"the same question, with the same id, is already at {first.file}: {first.where}"
        change = Change(question(record), None)
        self.note(record, "duplicate_id_same", "id", message, change)
        return True


def question(record: Record) -> dict[str, Any]:
    """The record's own values, without the context and title of its paragraph."""
    return {key: value for key, value in record.values.items() if key not in SHARED}
