"""Notes about layout and characters, which the download stage does not make."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

from retune.core.errors import excerpt
from retune.ingest.characters import control_characters
from retune.ingest.findings import Change, Finding
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.reading import Record
from retune.tools.data_doctor.answer_repair import is_nested

#: Zero-width and direction characters, without joiners, which scripts and emoji need.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
#: Fewer questions without an answer may be an oversight.
_FEW = 4
_NUMBERS = re.compile(r"\d+")


def layout_findings(records: list[Record]) -> Iterator[Finding]:
    """Note what is unusual about the objects around the questions of one file."""
    nested = [record for record in records if is_nested(record)]
    listed = next((r for r in nested if r.where.startswith("/") and not _has_data(r)), None)
    if listed:
        message = "no object with `data` around the articles"
        change = Change("[...]", '{"data": [...]}')
        yield _finding("bare_list", listed.file, "", "", message, change)
    usual = _shape(records[0]) if records else ""
    odd = (
        r for r in records if _shape(r) != usual or (is_nested(r) and "/paragraphs/" not in r.where)
    )
    if record := next(odd, None):
        message = "other levels than articles > paragraphs > questions, from here on"
        change = Change("mixed", "data > paragraphs > qas")
        yield _finding("mixed_layout", record.file, record.where, "", message, change)
    articles = {_article(r): r for r in reversed(nested) if "/paragraphs/" in r.where}
    for place, record in articles.items():
        if record.values.get("title") is None:
            change = Change(None, "")
            yield _finding(
                "missing_title",
                record.file,
                f"{place}/title",
                "",
                "an article without title",
                change,
            )


def version_findings(records: list[Record]) -> Iterator[Finding]:
    """Note a version that does not match the questions of mended `records`."""
    if _version(records).startswith("1") and any(map(is_v2, records)):
        version = records[0].around[0]["version"]
        message = f"version {excerpt(version)}, but questions say is_impossible, as in 2.0"
        change = Change(version, "v2.0")
        yield _finding("wrong_version", records[0].file, "/version", "", message, change)


def squad_v2_findings(records: list[Record]) -> Iterator[Finding]:
    """Note that a file is SQuAD 2.0 data.

    It is if its version is 2, or if its version is not 1 and a question has `is_impossible: true`,
    or if at least `_FEW` questions and one in twenty have an empty list of answers.
    """
    version = _version(records)
    without = sum(_is_unanswered(record) for record in records)
    plain = not version.startswith("1") and any(map(is_v2, records))
    many = without >= _FEW and without >= len(records) / 20
    if without and (version.startswith("2") or plain or many):
        message = f"SQuAD 2.0 data: {without:,} of {len(records):,} questions have no answer"
        yield _finding("squad_v2", records[0].file, "", "", message)


def _is_unanswered(record: Record) -> bool:
    answers = record.values.get("answers")
    return (answers.get("text") if isinstance(answers, dict) else answers) == []


def _version(records: list[Record]) -> str:
    """The version in a file, without "v"; "" if it has none."""
    version = records[0].around[0].get("version") if records and _has_data(records[0]) else ""
    return version.lower().removeprefix("v") if isinstance(version, str) else ""


def is_v2(record: Record) -> bool:
    """Whether a mended record is marked as unanswerable."""
    return record.values.get("is_impossible") is True


def character_findings(records: Iterable[Record]) -> Iterator[Finding]:
    """Note characters in contexts and questions that are probably mistakes."""
    texts = dict(_texts(records))
    letters = set().union(*(text for text, _, _ in texts.values()))
    composed = any(not unicodedata.is_normalized("NFD", letter) for letter in letters)
    for place, (text, record, field) in texts.items():
        for kind, message in _oddities(text, field, composed):
            yield _finding(kind, record.file, place, record.id, message)


def _texts(records: Iterable[Record]) -> Iterator[tuple[str, tuple[str, Record, str]]]:
    for record in records:
        for field in ("context", "question"):
            text = record.values.get(field)
            if isinstance(text, str) and not (text.isascii() and text.isprintable()):
                yield record.place(field), (text, record, field)


def _oddities(text: str, field: str, composed: bool) -> Iterator[tuple[str, str]]:
    if field == "question" and (message := control_characters(text)):
        yield "control_characters", message
    if found := _INVISIBLE.findall(text):
        first = unicodedata.name(found[0], "unnamed")
        yield "invisible_characters", f"{len(found)}, the first U+{ord(found[0]):04X} {first}"
    if "\ufffd" in text:
        yield "replacement_character", f"at offset {text.index(chr(0xFFFD))}"
    if mended := _demojibaked(text):
        place = next(n for n, letter in enumerate(text) if not letter.isascii())
        yield "mojibake", f"{excerpt(text[place : place + 12])} was {excerpt(mended[place])}"
    if composed and _has_pairs_apart(text):
        yield "unicode_mix", "accents are separate here, but composed elsewhere in the file"


def _has_pairs_apart(text: str) -> bool:
    """Whether a letter and its neighbour could be one composed letter.

    Not all text that is not NFC has such pairs: some composed letters of Indic scripts are not NFC,
    and neither are Arabic marks in the order in which they are typed.
    """
    if unicodedata.is_normalized("NFC", text):
        return False
    pairs = {one + other for one, other in pairwise(text) if not other.isascii()}
    return any(len(unicodedata.normalize("NFC", pair)) == 1 for pair in pairs)


def _demojibaked(text: str) -> str:
    """Undo reading UTF-8 as Windows-1252; "" if the text certainly was not read so."""
    if text.isascii():
        return ""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return ""


def _has_data(record: Record) -> bool:
    return bool(record.around) and record.where.startswith("/data/")


def _shape(record: Record) -> str:
    return _NUMBERS.sub("", record.where)


def _article(record: Record) -> str:
    return record.where.rpartition("/paragraphs/")[0]


def _finding(
    kind: str, file: str, where: str, name: str, message: str, change: Change | None = None
) -> Finding:
    return Finding(kind, KINDS[kind].severity, file, where, name, message, change)
