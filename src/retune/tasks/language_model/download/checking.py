"""Records to texts: every fault of every text found and named with its place.

The download stage stops at errors. What was dropped or is merely worth knowing becomes a
note, so that nothing happens in silence.
"""

from collections.abc import Iterable

from retune.core.errors import excerpt
from retune.ingest.dedup_key import dedup_key
from retune.ingest.findings import Finding
from retune.ingest.text_splits import Split, faults_of_text
from retune.tasks.language_model.download.record_files import Record
from retune.tasks.language_model.texts.texts import Text


def add(split: Split[Text], items: Iterable[Record | Finding]) -> None:
    """Check what `read_records` gave for a file."""
    for item in items:
        split.read += 1
        if isinstance(item, Finding):
            split.findings.append(item)
            continue
        findings = [*faults_of_text(item.text, item.file, item.where, "it")]
        split.findings += findings
        if all(finding.severity == "note" for finding in findings):
            split.keep(Text(split.last_id, item.text), item.file, item.where)


def duplicates(split: Split[Text]) -> dict[str, str]:
    """All texts that stand in the split before, by id, with a message."""
    first: dict[str, Text] = {}
    found = {}
    for text in split.rows:
        earlier = first.setdefault(dedup_key(text.text), text)
        if earlier is not text:
            found[text.id] = f"{excerpt(text.text)} stands already at {split.place(earlier)}"
    return found
