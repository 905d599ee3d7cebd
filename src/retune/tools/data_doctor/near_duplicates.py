"""Find contexts that are almost the same, in one split or across two."""

from collections.abc import Iterator

from retune.core.errors import excerpt
from retune.ingest.findings import Finding
from retune.tasks.qa.download.checking import Checker
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.leaking import NamedSplit
from retune.tasks.qa.download.reading import Record


def similar_findings(checker: Checker) -> Iterator[Finding]:
    """Note contexts of one split that are near an earlier one."""
    names = _names(checker)
    if len(names) < 2:
        return
    from retune.tools.data_doctor.minhash import MinHashIndex

    known = MinHashIndex()
    for context, name in names.items():
        if near := known.add(context):
            other, similarity = near
            first = checker.records[names[other]]
            where = f"one at {first.file}: {first.place('context')}"
            yield _finding("similar_context", checker.records[name], context, similarity, where)


def near_findings(one: NamedSplit, other: NamedSplit) -> Iterator[Finding]:
    """Note contexts of the `other` split that are near one of the first, but not equal."""
    from retune.tools.data_doctor.minhash import MinHashIndex

    names = _names(one.checker)
    known = MinHashIndex(names)
    for context, name in _names(other.checker).items():
        if context not in names and (near := known.nearest(context)):
            nearest, similarity = near
            where = f"one in {one.name} (question {excerpt(names[nearest])})"
            record = other.checker.records[name]
            yield _finding("near_context", record, context, similarity, where)


def _names(checker: Checker) -> dict[str, str]:
    """Each context, in order, with the id of its first question."""
    names: dict[str, str] = {}
    for example in checker.examples:
        names.setdefault(example.context, example.id)
    return names


def _finding(kind: str, record: Record, context: str, similarity: float, where: str) -> Finding:
    message = (
        f"the context {excerpt(context, 40)} shares {similarity:.0%} of its word triples with "
        f"{where}"
    )
    place = record.place("context")
    return Finding(kind, KINDS[kind].severity, record.file, place, record.id, message)
