"""Merge findings that have the same cause, such as a file in which all ids are missing."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from retune.ingest.findings import Change, Finding
from retune.tasks.qa.download.kinds import KINDS

#: Findings with one cause at so many places or more become one finding.
FOLDED = 4
#: Kinds whose places must be examined one by one.
_SINGLE = {
    *("misaligned", "not_verbatim", "trimmed", "dropped_answer", "dropped_question"),
    *("duplicate_id", "duplicate_id_same", "bad_id", "repeated_question", "differing_copies"),
    *("impossible_with_answers", "no_answer", "empty_answer", "answers_length", "lone_surrogate"),
    *("shared_id", "shared_context", "near_context", "similar_context", "trailing_comma"),
    *("answer_in_no_window", "label_widened", "question_cut", "question_trimmed"),
    *("context_without_tokens", "several_answers", "control_characters", "mojibake"),
    *("invisible_characters", "replacement_character", "implausible_label"),
}
_VALUE = re.compile(r"'(?:[^'\\]|\\.)*'?|\"(?:[^\"\\]|\\.)*\"?|\d[\d,.]*")


def folded(findings: Iterable[Finding]) -> list[Finding]:
    """Merge findings; a merged one has all of its places in `places`."""
    causes: dict[tuple[str, ...], list[Finding]] = {}
    for number, finding in enumerate(findings):
        causes.setdefault(_cause(finding, number), []).append(finding)
    return [one for group in causes.values() for one in _fold(group)]


def unfolded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the finding of every place."""
    for finding in findings:
        yield from finding.places or [finding]


def _cause(finding: Finding, number: int) -> tuple[str, ...]:
    if finding.kind in _SINGLE:
        return (str(number),)
    # Changes differ from place to place, so only equal messages are one cause. But values of
    # another type, such as integers as ids, come from one export.
    by_words = finding.change and finding.kind != "converted"
    words = finding.message if by_words else _VALUE.sub("_", finding.message)
    return finding.file, finding.kind, words, str(finding.change is None)


def _fold(group: list[Finding]) -> list[Finding]:
    first = group[0]
    if len(group) < FOLDED and first.kind != "offset_units":
        return group
    message = f"{first.message}; at {len(group):,} places, the first {first.where}"
    change = first.change and Change(first.message, KINDS[first.kind].mend)
    return [replace(first, where="", id="", message=message, change=change, places=tuple(group))]
