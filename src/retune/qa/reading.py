"""Data files to records: one question each, as the file gives it, with its place.

The form is told by the content: nested JSON as SQuAD 1.1 and 2.0 have it (`data` >
`paragraphs` > `qas`), flat JSON (a list of questions, with or without a `data` field),
JSON lines, and Parquet; only CSV and TSV are told by the suffix.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.errors import excerpt
from retune.qa.findings import Finding
from retune.qa.reading_json import UnreadableError, read_json
from retune.qa.reading_tables import read_csv, read_parquet

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_QUESTION_KEYS = {"id", "context", "question", "answers"}
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"BZh": "compressed by bzip2; unpack it",
    b"\xfd7zXZ": "compressed by xz; unpack it",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One question as its file gives it; only that it is an object has been checked.

    `values` may hold anything under `id`, `title`, `context`, `question`, `answers` and
    `is_impossible`. What a paragraph or an article gave is named in `inherited`, with
    the place of the giver.
    """

    file: str
    where: str
    values: dict[str, Any]
    inherited: dict[str, str]

    def place(self, field: str) -> str:
        """JSON pointer to a field of this question."""
        return f"{self.inherited.get(field, self.where)}/{field}"

    @property
    def id(self) -> str:
        """The id for messages, printable whatever the file has there."""
        value = self.values.get("id", "")
        text = value if isinstance(value, str) else repr(value)
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_records(path: Path, file: str) -> list[Record | Finding]:
    """Read a file of any supported form, in its order, faults of its structure among it.

    Args:
        path: the file to read.
        file: the name to show in findings and errors.

    Raises:
        UnreadableError: if nothing can be told about the questions: broken JSON, another
            encoding than UTF-8, an unknown form, no question at all.
    """
    items: list[Record | Finding] = []
    for item in _values(path, file):
        if isinstance(item, Finding):
            items.append(item)
        else:
            where, value = item
            items.extend(_walk(file, where, value, {}, {}))
    if not items:
        raise UnreadableError(f"{file}: the file has no records")
    return items


def _values(path: Path, file: str) -> Iterator[tuple[str, Any] | Finding]:
    with path.open("rb") as stream:
        head = stream.read(8)
    if head.startswith(b"PAR1") or path.suffix.lower() == ".parquet":
        return read_parquet(path, file)
    text = _text(path, file)
    delimiter = _DELIMITERS.get(path.suffix.lower())
    return read_csv(text, file, delimiter) if delimiter else _json_values(text, file)


def _text(path: Path, file: str) -> str:
    data = path.read_bytes()
    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            raise UnreadableError(f"{file}: the file is {what}")
    skipped = len(_BOM) if data.startswith(_BOM) else 0
    try:
        text = data[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        byte = skipped + error.start
        raise UnreadableError(f"{file}: not UTF-8 at byte {byte}; save it as UTF-8") from None
    if not text.strip():
        raise UnreadableError(f"{file}: the file has no records")
    return text


def _json_values(text: str, file: str) -> Iterator[tuple[str, Any]]:
    for where, value in read_json(text, file):
        if where or _is_item(value):
            yield where, value
        else:
            yield from _top_values(value, file)


def _top_values(value: Any, file: str) -> Iterator[tuple[str, Any]]:
    data = value.get("data") if isinstance(value, dict) else value
    if not isinstance(data, list):
        keys = f"keys {excerpt(list(value))}" if isinstance(value, dict) else excerpt(value)
        raise UnreadableError(
            f"{file}: found {keys}; expected a list of articles or of questions, "
            "or an object with such a list under `data`"
        )
    start = "" if data is value else "/data"
    for number, item in enumerate(data):
        yield f"{start}/{number}", item


def _is_item(value: Any) -> bool:
    if not isinstance(value, dict) or "data" in value:
        return False
    return "paragraphs" in value or "qas" in value or "question" in value


def _walk(
    file: str, where: str, value: Any, given: dict[str, Any], inherited: dict[str, str]
) -> Iterator[Record | Finding]:
    """Yield the questions in `value`: an article, a paragraph, or a question itself."""
    if not isinstance(value, dict):
        yield _malformed(file, where, f"{excerpt(value)} is not an object")
        return
    key = next((key for key in ("paragraphs", "qas") if key in value), None)
    if key is None:
        if _QUESTION_KEYS.isdisjoint(value):
            yield _malformed(
                file,
                where,
                f"keys {excerpt(list(value))}; expected an article (`paragraphs`), "
                "a paragraph (`qas`) or a question (`question`)",
            )
        else:
            yield Record(file, where, {**given, **value} if given else value, inherited)
    elif not isinstance(value[key], list):
        yield _malformed(file, f"{where}/{key}", f"{excerpt(value[key])} is not a list")
    else:
        shared = [field for field in ("title", "context") if field in value]
        given = given | {field: value[field] for field in shared}
        inherited = inherited | {field: where for field in shared}
        for number, item in enumerate(value[key]):
            yield from _walk(file, f"{where}/{key}/{number}", item, given, inherited)


def _malformed(file: str, where: str, message: str) -> Finding:
    return Finding("malformed", "error", file, where, "", message)
