"""Find what the validation split shares with the train split."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from retune.core.errors import excerpt
from retune.ingest.findings import Finding
from retune.tasks.qa.download.checking import Checker


def find_leaks(train: Checker, validation: Checker, allow_contexts: bool) -> list[Finding]:
    """Return findings for ids in both splits, and for contexts in both, errors unless allowed."""
    order = {name: number for number, name in enumerate(validation.records)}
    findings = [*_shared_ids(train, validation)]
    findings += _shared_contexts(train, validation, "note" if allow_contexts else "error")
    return sorted(findings, key=lambda finding: order[finding.id])


def _shared_ids(train: Checker, validation: Checker) -> Iterator[Finding]:
    for name in validation.records.keys() & train.records.keys():
        record, other = validation.records[name], train.records[name]
        message = f"the id is also in train, at {other.file}: {other.where}; change one of them"
        yield Finding("shared_id", "error", record.file, record.place("id"), name, message)


def _shared_contexts(
    train: Checker, validation: Checker, severity: Literal["error", "note"]
) -> Iterator[Finding]:
    known = {example.context: example.id for example in train.examples}
    first = {example.context: example.id for example in reversed(validation.examples)}
    counts = Counter(example.context for example in validation.examples)
    for context in counts.keys() & known.keys():
        record = validation.records[first[context]]
        message = (
            f"the context {excerpt(context, 40)}, with {counts[context]} questions here, is "
            f"also in train (question {excerpt(known[context])})"
        )
        if severity == "error":
            message += "; remove it from one, or set `qa.download.shared_contexts: allow`"
        place = record.place("context")
        yield Finding("shared_context", severity, record.file, place, record.id, message)
