"""Check records and make texts of them; every fault of every text becomes a finding.

The download stage stops at errors. Everything that is dropped or worth knowing becomes a note.
"""

from collections.abc import Iterable

from retune.core.errors import excerpt
from retune.ingest.dedup_key import dedup_key
from retune.ingest.findings import Finding
from retune.ingest.text_splits import Split, faults_of_text
from retune.tasks.language_model.download.record_files import Record
from retune.tasks.language_model.texts.texts import Text


def add(split: Split[Text], items: Iterable[Record | Finding]) -> None:
    """Check the items of `read_records`."""
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
    """Texts that the split has already: their ids, with a message for each."""
    first: dict[str, Text] = {}
    found = {}
    for text in split.rows:
        earlier = first.setdefault(dedup_key(text.text), text)
        if earlier is not text:
            found[text.id] = f"{excerpt(text.text)} is already at {split.place(earlier)}"
    return found
