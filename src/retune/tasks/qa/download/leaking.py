"""Find what two splits share."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from retune.core.errors import excerpt
from retune.ingest.findings import Finding
from retune.tasks.qa.download.checking import Checker


class NamedSplit(NamedTuple):
    """A split that has been checked, and what messages call it."""

    name: str
    checker: Checker


def find_leaks(one: NamedSplit, other: NamedSplit, *, allow_contexts: bool) -> list[Finding]:
    """Return what two splits share, as findings of the `other`.

    An id in both is an error. So is a context in both, unless `allow_contexts`.
    """
    order = {name: number for number, name in enumerate(other.checker.records)}
    findings = [*_shared_ids(one, other)]
    findings += _shared_contexts(one, other, "note" if allow_contexts else "error")
    return sorted(findings, key=lambda finding: order[finding.id])


def _shared_ids(one: NamedSplit, other: NamedSplit) -> Iterator[Finding]:
    for name in other.checker.records.keys() & one.checker.records.keys():
        record, first = other.checker.records[name], one.checker.records[name]
        message = (
            f"this id of {other.name} is also in {one.name}, at {first.file}: {first.where}; "
            "change one of them"
        )
        yield Finding("shared_id", "error", record.file, record.place("id"), name, message)


def _shared_contexts(
    one: NamedSplit, other: NamedSplit, severity: Literal["error", "note"]
) -> Iterator[Finding]:
    known = {example.context: example.id for example in one.checker.examples}
    examples = other.checker.examples
    first = {example.context: example.id for example in reversed(examples)}
    counts = Counter(example.context for example in examples)
    for context in counts.keys() & known.keys():
        record = other.checker.records[first[context]]
        message = (
            f"the context {excerpt(context, 40)}, with {counts[context]} questions in "
            f"{other.name}, is also in {one.name} (question {excerpt(known[context])})"
        )
        if severity == "error":
            message += "; remove it from one, or set `qa.download.shared_contexts: allow`"
        place = record.place("context")
        yield Finding("shared_context", severity, record.file, place, record.id, message)
