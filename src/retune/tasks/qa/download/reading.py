"""Read data files into records of one question each, with its place.

The content shows the form: nested JSON as in SQuAD 1.1 and 2.0 (`data` > `paragraphs` > `qas`),
flat JSON (a list of questions, with or without a `data` field), JSON lines, or Parquet. Only CSV
and TSV are recognized by the suffix of the name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retune.core.errors import excerpt
from retune.core.plain_files import opened
from retune.ingest.findings import Change, Finding
from retune.ingest.text_files import UnreadableError, read_text
from retune.ingest.text_tables import DELIMITERS
from retune.tasks.qa.download.reading_answers import COLUMNS, are_answers, gathered
from retune.tasks.qa.download.reading_forms import published_form
from retune.tasks.qa.download.reading_json import read_json, too_deep
from retune.tasks.qa.download.reading_tables import read_csv, read_parquet

_LOOKS = 3  # lines of JSON lines that are compared with published forms
_QUESTION_KEYS = {"id", "context", "question", "answers"}


@dataclass(frozen=True, slots=True)
class Record:
    """One question as in its file; the only check so far is that it is an object.

    `values` may have anything under `id`, `title`, `context`, `question`, `answers` and
    `is_impossible`. `inherited` has the fields that come from a paragraph or an article, with its
    place. `around` has the objects around the question, outermost first, each without the list
    that leads to it.
    """

    file: str
    where: str
    values: dict[str, Any]
    inherited: dict[str, str]
    around: tuple[dict[str, Any], ...] = ()

    def place(self, field: str) -> str:
        """JSON pointer to a field of this question."""
        return f"{self.inherited.get(field, self.where)}/{field}"

    @property
    def id(self) -> str:
        """The id for messages; printable, whatever the file has."""
        value = self.values.get("id", "")
        text = value if isinstance(value, str) else repr(value)
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_records(
    path: Path, file: str, sha256: str | None = None, *, answers: bool = True
) -> list[Record | Finding]:
    """Read a file of any supported form in its order; faults of its structure are findings.

    Args:
        path: the file to read.
        file: its name, for its suffix, findings and errors. `path` differs from it for a file in a
            cache.
        sha256: the expected sum of the file, where it is known.
        answers: whether a table needs columns for answers.

    Raises:
        UnreadableError: the file is broken JSON, has another encoding than UTF-8, an unknown form,
            or no questions.
    """
    suffix = Path(file).suffix
    if is_parquet(path, suffix):
        return parquet_records(path, file, sha256, answers=answers)
    return text_records(read_text(path, file, sha256), file, suffix, answers=answers)


def is_parquet(path: Path, suffix: str) -> bool:
    """Whether a file is, or by its `suffix` claims to be, a Parquet table."""
    with opened(path) as stream:
        head = stream.read(8)
    return head.startswith(b"PAR1") or suffix.lower() == ".parquet"


def parquet_records(
    path: Path, file: str, sha256: str | None = None, *, answers: bool = True
) -> list[Record | Finding]:
    """The records of a Parquet file; see `read_records`."""
    return _some(_rows(read_parquet(path, file, sha256, answers=answers), file), file)


def text_records(
    text: str, file: str, suffix: str, *, answers: bool = True
) -> list[Record | Finding]:
    """The records of a file's text; see `read_records`."""
    if is_table(suffix):
        return _some(_rows(read_csv(text, file, suffix.lower(), answers=answers), file), file)
    return _some(_json_items(text, file), file)


def is_table(suffix: str) -> bool:
    """Whether text in a file with this suffix is read as CSV or TSV."""
    return suffix.lower() in DELIMITERS


def _some(found: Iterable[Record | Finding], file: str) -> list[Record | Finding]:
    try:
        items = list(found)
    except RecursionError:
        raise too_deep(file, "") from None
    if not items:
        raise UnreadableError("empty_file", file, "the file has no records")
    return [*_with_answers(items)]


def _with_answers(items: Iterable[Record | Finding]) -> Iterator[Record | Finding]:
    """Yield the items, with answers of other names as `answers`, then a note for these names."""
    first: dict[tuple[str, ...], Record] = {}
    for item in items:
        if isinstance(item, Finding) or are_answers(item.values.get("answers")):
            yield item
            continue
        values, names = gathered(item.values) or (item.values, ())
        if names:
            first.setdefault(names, item)
        yield replace(item, values=values)
    for names, record in first.items():
        if names != COLUMNS:
            yield _renamed(record, names)


def _renamed(record: Record, names: tuple[str, ...]) -> Finding:
    shown = " and ".join(f"`{name}`" for name in names)
    text = " as text" if names == ("answers",) else ""
    message = f"the answers are in {shown}{text} and are read as `answers`, here and further on"
    change = Change(list(names), ["answers"])
    place = record.place(names[0])
    return Finding("converted", "note", record.file, place, record.id, message, change)


def _rows(found: Iterable[tuple[str, Any] | Finding], file: str) -> Iterator[Record | Finding]:
    for item in found:
        if isinstance(item, Finding):
            yield item
        else:
            yield from _walk(file, *item, _TOP)


def _json_items(text: str, file: str) -> Iterator[Record | Finding]:
    for number, (where, value) in enumerate(read_json(text, file)):
        if number < _LOOKS and (form := published_form(value)):
            raise UnreadableError("unknown_form", file, f"found {form}", where.rstrip(":"))
        if where or _is_item(value):
            yield from _walk(file, where, value, _TOP)
        else:
            yield from _top_items(value, file)


def _top_items(value: Any, file: str) -> Iterator[Record | Finding]:
    data = value.get("data") if isinstance(value, dict) else value
    if not isinstance(data, list):
        keys = f"keys {excerpt(list(value))}" if isinstance(value, dict) else excerpt(value)
        why = (
            f"found {keys}; expected a list of articles or of questions, "
            "or an object with such a list under `data`"
        )
        raise UnreadableError("unknown_form", file, why)
    start, given = ("", _TOP) if data is value else ("/data", _TOP.inside(value, "", "data", ()))
    for number, item in enumerate(data):
        yield from _walk(file, f"{start}/{number}", item, given)


def _is_item(value: Any) -> bool:
    if not isinstance(value, dict) or "data" in value:
        return False
    return "paragraphs" in value or "qas" in value or "question" in value


@dataclass(frozen=True, slots=True)
class _Given:
    """What the questions of an item inherit from the objects around it."""

    values: dict[str, Any]
    places: dict[str, str]
    around: tuple[dict[str, Any], ...]

    def inside(
        self, value: dict[str, Any], where: str, key: str, shared: Iterable[str]
    ) -> "_Given":
        """What the items of the list `value[key]` inherit."""
        fields = [field for field in shared if field in value]
        own = {name: item for name, item in value.items() if name != key}
        return _Given(
            self.values | {field: value[field] for field in fields},
            self.places | {field: where for field in fields},
            (*self.around, own),
        )


_TOP = _Given({}, {}, ())


def _walk(file: str, where: str, value: Any, given: _Given) -> Iterator[Record | Finding]:
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
            yield _record(file, where, value, given)
    elif not isinstance(value[key], list):
        yield _malformed(file, f"{where}/{key}", f"{excerpt(value[key])} is not a list")
    else:
        given = given.inside(value, where, key, ("title", "context"))
        for number, item in enumerate(value[key]):
            yield from _walk(file, f"{where}/{key}/{number}", item, given)


def _record(file: str, where: str, value: dict[str, Any], given: _Given) -> Record:
    places = given.places
    if not places.keys().isdisjoint(value):
        places = {field: place for field, place in places.items() if field not in value}
    values = {**given.values, **value} if given.values else value
    return Record(file, where, values, places, given.around)


def _malformed(file: str, where: str, message: str) -> Finding:
    return Finding("malformed", "error", file, where, "", message)
