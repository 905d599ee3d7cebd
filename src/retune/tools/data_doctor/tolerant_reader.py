"""Read files that the download stage refuses for their encoding or for commas."""

import codecs
import re
from pathlib import Path

from retune.core.plain_files import read_bytes
from retune.ingest.findings import Change, Finding
from retune.ingest.text_files import UnreadableError, decoded
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.reading import (
    Record,
    is_parquet,
    is_table,
    parquet_records,
    text_records,
)
from retune.tasks.qa.download.reading_json import line_column

_MARKS = [  # the longer first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
]
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^\s",\[\]{}:]+|\S', re.DOTALL)
_NO_VALUE = (None, ",", "[", "{", ":")


def tolerant_records(path: Path, file: str) -> tuple[list[Record], list[Finding]]:
    """Return the records of a file, and findings about its bytes, text and structure.

    Raises:
        UnreadableError: as `retune.tasks.qa.download.reading.read_records`, except for files that
            can be read after certain mends.
    """
    findings: list[Finding] = []
    if is_parquet(path, path.suffix):
        items = parquet_records(path, file)
    else:
        data, findings = _as_utf8(read_bytes(path), file)
        text = decoded(data, file)
        if not is_table(path.suffix) and b"\r\n" in data:
            findings.append(_finding("crlf", file, "", "Windows line ends between tokens"))
        items = _items(text, file, path.suffix, findings)
    findings += [item for item in items if isinstance(item, Finding)]
    return [item for item in items if isinstance(item, Record)], findings


def _as_utf8(data: bytes, file: str) -> tuple[bytes, list[Finding]]:
    mark, encoding = next((m for m in _MARKS if data.startswith(m[0])), (b"", ""))
    if not mark:
        return data, []
    body = data[len(mark) :]
    if encoding == "utf-8":
        change = Change("\ufeff", "")
        return body, [_finding("bom", file, "", "a byte order mark begins the file", change)]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        byte = len(mark) + error.start
        why = f"its mark says {encoding}, but byte {byte} is not; export the file again"
        raise UnreadableError("wrong_encoding", file, why) from None
    message = f"the file is {encoding}; download reads UTF-8 only"
    change = Change(encoding, "utf-8")
    return text.encode("utf-8"), [_finding("wrong_encoding", file, "", message, change)]


def _items(text: str, file: str, suffix: str, findings: list[Finding]) -> list[Record | Finding]:
    try:
        return text_records(text, file, suffix)
    except UnreadableError as error:
        if error.kind != "trailing_comma":
            raise
    commas = trailing_commas(text)
    letters = list(text)
    for place in commas:  # a blank instead keeps all other places
        letters[place] = " "
    items = text_records("".join(letters), file, suffix)
    for place in commas:
        message = "a comma before a closing bracket"
        where = line_column(text, place)
        findings.append(_finding("trailing_comma", file, where, message, Change(",", "")))
    return items


def trailing_commas(text: str) -> list[int]:
    """Offsets of commas between a value and a closing bracket, outside strings."""
    places = []
    before = comma = None
    for token in _TOKEN.finditer(text):
        if comma is not None and token[0] in "]}":
            places.append(comma)
        comma = token.start() if token[0] == "," and before not in _NO_VALUE else None
        before = token[0]
    return places


def _finding(
    kind: str, file: str, where: str, message: str, change: Change | None = None
) -> Finding:
    return Finding(kind, KINDS[kind].severity, file, where, "", message, change)
