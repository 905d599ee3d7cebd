"""Check rows and make examples of them; every fault of every row becomes a finding.

The download stage stops at errors. Everything that is dropped or worth knowing becomes a note.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from retune.core.errors import excerpt, listed
from retune.ingest.dedup_key import dedup_key
from retune.ingest.findings import Finding, typed
from retune.ingest.text_splits import Split, error, faults_of_text
from retune.tasks.sentiment.download.labels import DROP, label_text, meanings
from retune.tasks.sentiment.download.rows import Record
from retune.tasks.sentiment.download.treebank import TreebankTokens, plain_text
from retune.tasks.sentiment.texts.examples import LABELS, Example

_WITHHELD = "-1"


def add(
    split: Split[Example],
    items: Iterable[Record | Finding],
    labels: Mapping[str, str],
    treebank_tokens: TreebankTokens,
) -> None:
    """Check the items of `read_records` for files whose labels mean `labels`."""
    meaning_of = meanings(labels)
    for item in items:
        if isinstance(item, Finding):
            split.read += item.severity == "error"  # a note is about the file, not a row
            split.findings.append(item)
            continue
        split.read += 1
        meaning = meaning_of(item.label)
        if meaning == DROP:
            split.findings.append(_left_out(item))
            continue
        findings = [
            *faults_of_text(item.text, item.file, item.where, "the row"),
            *(_faults_of_label(item, labels) if meaning is None else ()),
        ]
        split.findings += findings
        if meaning and all(finding.severity == "note" for finding in findings):
            label = LABELS.index(meaning)
            text = plain_text(item.text) if treebank_tokens == "join" else item.text
            if "".join(text.split()) != "".join(item.text.split()):
                split.findings.append(_joined(item, text))
            split.keep(Example(split.last_id, text, label, None, None), item.file, item.where)


def contradictions(split: Split[Example]) -> dict[str, str]:
    """Rows whose text has both labels in the split: their ids, with a message for each."""
    groups = _groups(split.rows)
    found = {}
    for group in groups.values():
        for example in group:
            other = next((e for e in group if e.label != example.label), None)
            if other is not None:
                found[example.id] = (
                    f"{excerpt(example.text)} is {LABELS[example.label]} here and "
                    f"{LABELS[other.label]} at {split.place(other)}"
                )
    return found


def duplicates(split: Split[Example]) -> dict[str, str]:
    """Rows whose text and label an earlier row has: their ids, with a message for each."""
    found = {}
    for group in _groups(split.rows).values():
        first: dict[int, Example] = {}
        for example in group:
            earlier = first.setdefault(example.label, example)
            if earlier is not example:
                message = f"{excerpt(example.text)} is already at {split.place(earlier)}"
                found[example.id] = message
    return found


def _left_out(record: Record) -> Finding:
    message = f"the label {excerpt(record.label)} means {DROP}, so the row is left out"
    return Finding("dropped_label", "note", record.file, record.where, "", message)


def _joined(record: Record, text: str) -> Finding:
    message = f"Treebank tokens, read as {excerpt(text)}"
    return Finding("treebank_tokens", "note", record.file, record.where, "", message)


def _groups(examples: Iterable[Example]) -> dict[str, list[Example]]:
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[dedup_key(example.text)].append(example)
    return groups


def _faults_of_label(record: Record, labels: Mapping[str, str]) -> Iterable[Finding]:
    """Yield what is wrong with a label that has no meaning."""
    value, text = record.label, label_text(record.label)
    allowed = listed([excerpt(label) for label in labels])
    is_fraction = isinstance(value, float) and not value.is_integer()
    if text is None or is_fraction:
        message = f"the label {typed(value)} is neither a string nor an integer"
        yield error(record.file, record.where, "wrong_type", f"{message}; allowed: {allowed}")
        return
    message = f"no label {excerpt(text)}; allowed: {allowed}"
    if text == _WITHHELD:
        message += " (-1 marks a label that is withheld, as in a test split; take another split)"
    message += f"; `labels` of the data set can map it to {', '.join(LABELS)} or {DROP}"
    yield error(record.file, record.where, "unknown_label", message)
