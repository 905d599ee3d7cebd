"""Write a corrected copy as canonical SQuAD JSON, with a log of every change."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.files import atomic_path
from retune.ingest.findings import Finding
from retune.tasks.qa.download.reading import Record
from retune.tools.data_doctor.layout import is_v2
from retune.tools.data_doctor.mending import SHARED, question

_LEVEL = re.compile(r"/(data|paragraphs|qas)/\d+")


def write_mended(path: Path, records: list[Record]) -> None:
    """Write records as `data` > `paragraphs` > `qas`, in their order, with all their keys.

    Neighbours that share an article or a paragraph in their file, or title and context
    where it is flat, share them here.
    """
    text = _json(_document(records), str(path), indent=1)
    with atomic_path(path) as temporary:
        temporary.write_bytes(_utf8(text))


def write_log(path: Path, findings: Iterable[Finding]) -> int:
    """Write a JSON line for each change among `findings`; return how many there are."""
    rows = [_log_row(finding) for finding in findings if finding.change]
    with atomic_path(path) as temporary:
        temporary.write_bytes(_utf8("".join(_json(row, str(path)) for row in rows)))
    return len(rows)


def _log_row(finding: Finding) -> dict[str, Any]:
    change = finding.change
    assert change is not None
    return {
        "file": finding.file,
        "where": finding.where,
        "id": finding.id,
        "kind": finding.kind,
        "before": change.before,
        "after": change.after,
    }


def _document(records: list[Record]) -> dict[str, Any]:
    top = _own(records[0]).get("data") if records else None
    document: dict[str, Any] = {"version": "1.1"} if top is None else dict(top)
    version = str(document.get("version", ""))
    if version.lower().startswith(("1", "v1")) and any(map(is_v2, records)):
        document["version"] = "v2.0"
    articles = groupby(records, key=_article_key)
    document["data"] = [_article(list(members)) for _, members in articles]
    return document


def _article(records: list[Record]) -> dict[str, Any]:
    title = records[0].values.get("title")
    paragraphs = [_paragraph(list(members)) for _, members in groupby(records, _paragraph_key)]
    extras = _extras(records[0], "paragraphs")
    return extras | {"title": "" if title is None else title, "paragraphs": paragraphs}


def _paragraph(records: list[Record]) -> dict[str, Any]:
    values = records[0].values
    context = {"context": values["context"]} if "context" in values else {}
    return _extras(records[0], "qas") | context | {"qas": [question(r) for r in records]}


def _article_key(record: Record) -> tuple[str, Any]:
    title = record.values.get("title")
    return record.where.rpartition("/paragraphs/")[0], "" if title is None else title


def _paragraph_key(record: Record) -> tuple[str, bool, Any]:
    values = record.values
    return record.where.rpartition("/qas/")[0], "context" in values, values.get("context")


def _extras(record: Record, level: str) -> dict[str, Any]:
    own = _own(record).get(level, {})
    return {key: value for key, value in own.items() if key not in SHARED}


def _own(record: Record) -> dict[str, dict[str, Any]]:
    """The values of the objects around a question, by the list that leads to it."""
    own: dict[str, dict[str, Any]] = {}
    for level, values in zip(_levels(record), record.around, strict=True):
        own[level] = own.get(level, {}) | values
    return own


def _levels(record: Record) -> Iterator[str]:
    return (match[1] for match in _LEVEL.finditer(record.where))


def _json(value: Any, file: str, indent: int | None = None) -> str:
    try:
        text = json.dumps(
            value,
            indent=indent,
            sort_keys=True,
            ensure_ascii=False,
            allow_nan=False,
            default=str,
        )
    except ValueError:
        raise RetuneError(
            f"{file}: not written: a field of the file has a number that JSON cannot hold "
            "(NaN or infinity); write null there"
        ) from None
    return text + "\n"


def _utf8(text: str) -> bytes:
    # Only half of a surrogate pair stays as its JSON escape.
    return text.encode("utf-8", "backslashreplace")
