import contextlib
import csv
import hashlib
import io
import json
import random
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from retune.fetch.fetching import url_source
from retune.ingest.findings import Finding
from retune.ingest.text_files import UnreadableError
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.reading import Record, _some, read_records
from retune.tasks.qa.questions.examples import Answer, Example

EXAMPLES = [
    Example("a", "Rivers", "The Rhine is 1,230 km long.", "How long?", (Answer("1,230 km", 13),)),
    Example("b", "Rivers", "The Rhine is 1,230 km long.", 'What "river"?', (Answer("Rhine", 4),)),
    Example("c", "Café", "Le café\r\nest fermé 😀.", "Où?", (Answer("café", 3), Answer("😀", 19))),
    Example("d", "Café", "Line\u2028separated\x85text, yes.", "Why?", ()),
]


def as_lists(example: Example) -> dict[str, Any]:
    return {
        "text": [answer.text for answer in example.answers],
        "answer_start": [answer.start for answer in example.answers],
    }


def as_objects(example: Example) -> list[dict[str, Any]]:
    return [{"text": answer.text, "answer_start": answer.start} for answer in example.answers]


def flat(example: Example, answers: Any) -> dict[str, Any]:
    fields = ("id", "title", "context", "question")
    return {name: getattr(example, name) for name in fields} | {"answers": answers}


def nested() -> dict[str, Any]:
    articles: dict[str, dict[str, list[Any]]] = {}
    for example in EXAMPLES:
        questions = articles.setdefault(example.title, {}).setdefault(example.context, [])
        question = {"id": example.id, "question": example.question, "answers": as_objects(example)}
        questions.append(question | {"is_impossible": not example.answers})
    data = [
        {"title": t, "paragraphs": [{"context": c, "qas": qas} for c, qas in p.items()]}
        for t, p in articles.items()
    ]
    return {"version": "v2.0", "data": data}


def lines(rows: list[dict[str, Any]], end: str = "\n") -> bytes:
    return (end.join(json.dumps(row, ensure_ascii=False) for row in rows) + end).encode()


def table(columns: list[str], rows: list[list[Any]], delimiter: str = ",") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([columns, *rows])
    return file.getvalue().encode()


def json_cells(delimiter: str = ",") -> bytes:
    rows = [[e.id, e.title, e.context, e.question, json.dumps(as_lists(e))] for e in EXAMPLES]
    return table(["id", "title", "context", "question", "answers"], rows, delimiter)


def parquet_bytes(answers: list[Any]) -> bytes:
    rows = [flat(example, a) for example, a in zip(EXAMPLES, answers, strict=True)]
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


with_lists = [flat(example, as_lists(example)) for example in EXAMPLES]
with_objects = [flat(example, as_objects(example)) for example in EXAMPLES]
FORMS = {
    "nested.json": json.dumps(nested()).encode(),
    "nested-by-another-name.csv.txt": json.dumps(nested(), indent=2).encode(),
    "nested-articles.jsonl": lines(nested()["data"]),
    "bom.json": b"\xef\xbb\xbf" + json.dumps(nested()).encode(),
    "flat-data.json": json.dumps({"data": with_lists}).encode(),
    "flat-bare.json": json.dumps(with_objects, ensure_ascii=False).encode(),
    "lines.jsonl": lines(with_lists),
    "lines-as.json": lines(with_objects),
    "crlf-and-blank-lines.jsonl": b"\r\n" + lines(with_lists, "\r\n\r\n"),
    "cells.csv": json_cells(),
    "cells.tsv": json_cells("\t"),
    "table.parquet": parquet_bytes([as_lists(e) for e in EXAMPLES]),
    "table-without-suffix": parquet_bytes([as_objects(e) for e in EXAMPLES]),
}


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def read(path: Path) -> list[Record | Finding]:
    return read_records(path, path.name)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_examples(tmp_path: Path, name: str) -> None:
    require_examples(read(write(tmp_path, name, FORMS[name])))


def require_examples(records: list[Record | Finding]) -> None:
    checker = Checker(Rules(squad_v2=True, realign=False, drop_unanswerable=False))
    checker.add(records)
    assert [finding for finding in checker.findings if finding.severity == "error"] == []
    assert checker.examples == EXAMPLES


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a log."""

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a server that has all forms."""
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "cache"))
    served = tmp_path / "served"
    served.mkdir()
    for name, data in FORMS.items():
        write(served, name, data)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("query", ["", "?download=1.json"])
def test_every_form_is_told_by_its_name_where_it_came_from_the_web(
    name: str, query: str, address: str
) -> None:
    sum_ = hashlib.sha256(FORMS[name]).hexdigest()
    source = url_source(f"{address}/{name}{query}", sum_)
    require_examples(read_records(source.path, source.name))


def test_csv_may_have_the_answer_in_two_columns(tmp_path: Path) -> None:
    rows = [
        ["a", "x y", "q?", "y", "2"],
        ["b", "x y", "r?", "", ""],
        ["c", "x y", "s?", "y", "2.0"],
    ]
    data = table(["id", "context", "question", "answer_text", "answer_start"], rows)
    records = read(write(tmp_path, "two.csv", data))
    assert [r.values["answers"] for r in records if isinstance(r, Record)] == [
        [{"text": "y", "answer_start": 2}],
        [],
        [{"text": "y", "answer_start": "2.0"}],
    ]


@pytest.mark.parametrize(("cell", "value"), [("True", True), ("false", False), ("no", "no")])
def test_csv_reads_is_impossible(tmp_path: Path, cell: str, value: object) -> None:
    columns = ["id", "context", "question", "answers", "is_impossible"]
    path = write(tmp_path, "v2.csv", table(columns, [["a", "x", "q", "[]", cell]]))
    (record,) = read(path)
    assert isinstance(record, Record)
    assert record.values["is_impossible"] == value


@pytest.mark.parametrize(
    ("name", "places"),
    [
        (
            "nested.json",
            ["/data/0/title", "/data/0/paragraphs/0/context", "/data/0/paragraphs/0/qas/1/id"],
        ),
        ("flat-data.json", ["/data/1/title", "/data/1/context", "/data/1/id"]),
        ("flat-bare.json", ["/1/title", "/1/context", "/1/id"]),
        ("lines.jsonl", ["line 2:/title", "line 2:/context", "line 2:/id"]),
        ("crlf-and-blank-lines.jsonl", ["line 4:/title", "line 4:/context", "line 4:/id"]),
        ("cells.csv", ["line 3:/title", "line 3:/context", "line 3:/id"]),
        ("table.parquet", ["row 1:/title", "row 1:/context", "row 1:/id"]),
    ],
)
def test_a_record_knows_the_place_of_its_fields(
    tmp_path: Path, name: str, places: list[str]
) -> None:
    record = read(write(tmp_path, name, FORMS[name]))[1]
    assert isinstance(record, Record)
    assert [record.place(field) for field in ("title", "context", "id")] == places


def test_csv_counts_lines_inside_quoted_cells(tmp_path: Path) -> None:
    rows = [["a", "two\nlines", "q", "[]"], ["b", "x", "q", "[]"]]
    path = write(tmp_path, "t.csv", table(["id", "context", "question", "answers"], rows))
    second = read(path)[1]
    assert isinstance(second, Record)
    assert second.where == "line 4:"


WHOLE = json.dumps({"data": with_objects}, indent=1).encode()
NEEDS = b"id,context,question,answers\n"
UNREADABLE = {
    "empty file": (b"", "f.json: the file has no records"),
    "only blanks": (b"\xef\xbb\xbf \n", "f.json: the file has no records"),
    "empty list": (b"[]", "f.json: the file has no records"),
    "empty data": (b'{"data": []}', "f.json: the file has no records"),
    "cut in a string": (
        WHOLE[: WHOLE.index(b"Rhine")],
        r"f.json:6:\d+: the JSON is cut off \(unterminated string",
    ),
    "cut between": (WHOLE[:-2], "cut off .* 4 whole questions before it"),
    "cut line": (lines(with_lists)[:-20], r"f.json:4:\d+: the JSON is cut off"),
    "broken line": (b'{"id": "a"}\nx\n', "f.json:2:1: not valid JSON"),
    "two values on a line": (b'{"id": "a"}\n{"id": "b"} {}\n', "f.json:2:13: more text behind"),
    "text behind the value": (b'{"id": "a"} x', "f.json:1:13: the JSON value ends here but"),
    "trailing comma in a list": (b'{"data": [1,\n]}', "f.json:2:1: a trailing comma"),
    "trailing comma in an object": (b'{"data": [],}', "f.json:1:13: a trailing comma"),
    "key twice": (
        b'{"data": [\n{"id": "a"},\n {"id": "a", "id": "b"}]}',
        "f.json:3:14: the key 'id' appears twice",
    ),
    "key twice by escape": (rb'{"id": "}", "\u0069d": "b"}', "f.json:1:13: the key 'id' appears"),
    "NaN": (b'[{"id": "NaN",\n"start": NaN}]', "f.json:2:10: NaN is not JSON"),
    "infinity": (b"[-Infinity]", "f.json:1:2: -Infinity is not JSON"),
    "depth": (b"[" * 100_000, "f.json:1:1: nested too deeply"),
    "long number": (b'[1,\n "2", ' + b"3" * 5000 + b"]", "f.json:2:7: a number of more than"),
    "raw NUL": (b'["a\0"]', "f.json:1:4: not valid JSON .invalid control character"),
    "Latin-1": (
        b'["caf\xe9"]',
        "not UTF-8 at byte 5; save it as UTF-8 .in Windows-1252 this is 'é'",
    ),
    "Latin-1 after a BOM": (b'\xef\xbb\xbf["caf\xe9"]', "f.json: not UTF-8 at byte 8"),
    "UTF-16": ("[]".encode("utf-16"), "f.json: the file is UTF-16; save it as UTF-8"),
    "UTF-16 unmarked": (
        "[]".encode("utf-16-le"),
        "NUL at its start, so perhaps UTF-16 without a mark",
    ),
    "zip": (b"PK\x03\x04....", "f.json: the file is a zip archive; unpack it"),
    "gzip": (b"\x1f\x8b....", "compressed by gzip; unpack it"),
    "web page": (b"<!DOCTYPE html>", "f.json:1:1: not valid JSON"),
    "a string": (b'"data"', "f.json: found 'data'; expected a list"),
    "no data field": (b'{"version": 1}', r"f.json: found keys \['version'\]; expected a list"),
    "data is no list": (b'{"data": {}}', r"f.json: found keys \['data'\]"),
    "not Parquet": (b"PAR1....", "f.json: not a readable Parquet file"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_files_are_named_with_the_place(tmp_path: Path, case: str) -> None:
    data, message = UNREADABLE[case]
    with pytest.raises(UnreadableError, match=message):
        read(write(tmp_path, "f.json", data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id:context:question:answers\n", "t.csv: no column id, context, question, answers"),
        (b"id,context,question\n", r"no column answers \(or answer_text and answer_start\); its"),
        (b"id,id,context,question,answers\n", "t.csv: two columns id"),
        (NEEDS + b'a,"b,c,[]\n', "t.csv:2: not valid CSV"),
        (NEEDS, "t.csv: the file has no records"),
    ],
)
def test_unreadable_tables_are_named(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(UnreadableError, match=message):
        read(write(tmp_path, "t.csv", data))


def test_a_parquet_file_of_nested_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.Table.from_pylist([{"version": "1.1", "data": [1]}]), path)
    with pytest.raises(UnreadableError, match=r"no column id, .*; its columns are 'version', 'da"):
        read(path)


@pytest.mark.parametrize(
    ("name", "data", "where", "message"),
    [
        ("f.json", b"[1]", "/0", "1 is not an object"),
        ("f.json", b'[{"text": ""}]', "/0", r"keys \['text'\]; expected an article"),
        ("f.json", b'{"data": [{"paragraphs": 1}]}', "/data/0/paragraphs", "1 is not a list"),
        (
            "f.json",
            b'{"data": [{"paragraphs": [{"qas": {}}]}]}',
            "/data/0/paragraphs/0/qas",
            r"\{\} is not a list",
        ),
        ("f.jsonl", b'{"id": "a"}\n[]\n', "line 2:", r"\[\] is not an object"),
        ("f.csv", NEEDS + b"a,b,c\n", "line 2:", "3 cells under a header of 4"),
        ("f.csv", NEEDS + b"a,b,c,{'text'\n", "line 2:/answers", "is not JSON; write"),
        ("f.csv", NEEDS + b"a,b,c,[] []\n", "line 2:/answers", "is not JSON; write"),
    ],
)
def test_faults_of_structure_are_found_with_their_place(
    tmp_path: Path, name: str, data: bytes, where: str, message: str
) -> None:
    finding = read(write(tmp_path, name, data))[-1]
    assert isinstance(finding, Finding)
    assert (finding.kind, finding.severity, finding.where) == ("malformed", "error", where)
    assert re.search(message, finding.message)


def test_articles_paragraphs_and_questions_may_stand_side_by_side(tmp_path: Path) -> None:
    article = {"title": "T", "paragraphs": [{"context": "c", "qas": [{"id": "1"}]}]}
    paragraph = {"context": "d", "qas": [{"id": "2"}, {"id": "3"}]}
    data = json.dumps([article, paragraph, {"id": "4", "context": "e"}]).encode()
    records = [r for r in read(write(tmp_path, "f.json", data)) if isinstance(r, Record)]
    assert [(r.id, r.values["context"]) for r in records] == [
        ("1", "c"),
        ("2", "d"),
        ("3", "d"),
        ("4", "e"),
    ]


def test_a_single_question_is_a_file_of_one_line(tmp_path: Path) -> None:
    (record,) = read(write(tmp_path, "f.json", lines(with_lists[:1])))
    assert record.id == "a"


def test_a_record_knows_the_objects_around_it(tmp_path: Path) -> None:
    paragraph = {"context": "c", "document_id": 5, "qas": [{"id": "1", "context": "own"}]}
    article = {"title": "T", "paragraphs": [paragraph]}
    data = json.dumps({"version": "1.1", "data": [article]}).encode()
    (record,) = read(write(tmp_path, "f.json", data))
    assert isinstance(record, Record)
    assert record.around == ({"version": "1.1"}, {"title": "T"}, {"context": "c", "document_id": 5})
    assert record.place("context") == "/data/0/paragraphs/0/qas/0/context"
    assert record.place("title") == "/data/0/title"


def test_what_is_too_deep_to_be_walked_is_unreadable() -> None:
    def walk() -> Iterator[Record | Finding]:
        raise RecursionError
        yield

    with pytest.raises(UnreadableError, match=r"f\.json: nested too deeply to be a data set"):
        _some(walk(), "f.json")


@pytest.mark.parametrize("name", FORMS)
def test_a_damaged_file_is_unreadable_or_has_findings_but_never_crashes(
    tmp_path: Path, name: str
) -> None:
    chance = random.Random(name)
    tokens = [b'"', b"{", b"]", b",", b"null", b"\xff", b"\0", b"-1", b"[]", b"\\ud800", b""]
    for _ in range(60):
        data = bytearray(FORMS[name])
        place = chance.randrange(len(data))
        data[place : place + chance.randint(0, 12)] = chance.choice(tokens)
        path = write(tmp_path, name, bytes(data))
        checker = Checker(Rules(squad_v2=False, realign=True, drop_unanswerable=True))
        with contextlib.suppress(UnreadableError):
            checker.add(read(path))
            assert checker.examples or checker.findings
