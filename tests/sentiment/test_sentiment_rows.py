"""Files of sentences, form by form, and what is wrong in their rows."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from retune.core.errors import RetuneError
from retune.ingest.findings import Finding
from retune.ingest.text_files import UnreadableError
from retune.tasks.sentiment.download.rows import Layout, Record, read_records

LABELS = {"0": "negative", "1": "positive"}
NAMED = Layout(True, "sentence", "label", LABELS)
NUMBERED = Layout(False, 2, 1, LABELS)


def read(folder: Path, name: str, content: str | bytes, layout: Layout) -> list[Record | Finding]:
    path = folder / "some-name-of-a-cache"  # the form is told by the name of the source
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    path.write_bytes(data)
    return read_records(path, name, layout)


@pytest.mark.parametrize(
    ("name", "content", "layout"),
    [
        ("a.tsv", 'label\tsentence\n1\ta "good" one\n0\tbad\n', NAMED),
        ("a.TSV", '1\ta "good" one\n0\tbad', NUMBERED),
        ("a.tsv", 'sentence\tlabel\r\na "good" one\t1\r\nbad\t0\r\n', Layout(True, 1, 2, LABELS)),
        ("a.csv", 'x,label,sentence\n7,1,"a ""good"" one"\n8,0,bad\n', NAMED),
        ("a.jsonl", '{"label": "1", "sentence": "a \\"good\\" one"}\n\n{"sentence": "bad", '
         '"label": "0", "more": 1}', NAMED),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_rows(
    name: str, content: str, layout: Layout, tmp_path: Path
) -> None:
    records = read(tmp_path, name, content, layout)
    assert all(isinstance(record, Record) and record.file == name for record in records)
    rows = [(record.text, record.label) for record in records if isinstance(record, Record)]
    assert rows == [('a "good" one', "1"), ("bad", "0")]


@pytest.mark.parametrize("layout", [NAMED, Layout(True, 2, 3, LABELS)])
def test_parquet_gives_the_two_columns(layout: Layout, tmp_path: Path) -> None:
    table = pa.table({"idx": [7, 8], "sentence": ["good", "bad"], "label": [1, 0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read_records(tmp_path / "a.parquet", "a.parquet", layout) == [
        Record("a.parquet", "row 0", "good", 1),
        Record("a.parquet", "row 1", "bad", 0),
    ]


def test_a_row_that_runs_over_lines_is_placed_where_it_begins(tmp_path: Path) -> None:
    found = read(tmp_path, "a.csv", 'label,sentence\n1,"one\ntwo"\n0,three\n', NAMED)
    assert [record.where for record in found] == ["line 2", "line 4"]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_blank_lines_are_passed_over_wherever_they_stand(name: str, tmp_path: Path) -> None:
    mark = {"a.tsv": "\t", "a.csv": ","}[name]
    lines = ["", "label,sentence", "", "1,good", "", "0,bad", "", ""]
    found = read(tmp_path, name, "\n".join(lines).replace(",", mark), NAMED)
    assert found == [Record(name, "line 4", "good", "1"), Record(name, "line 6", "bad", "0")]
    found = read(tmp_path, name, "\n\n1,good\n".replace(",", mark), NUMBERED)
    assert found == [Record(name, "line 3", "good", "1")]


@pytest.mark.parametrize("first", ["1", "1.0", " 0", "-1", "Positive"])
def test_a_first_row_that_is_no_header_is_not_lost(first: str, tmp_path: Path) -> None:
    layout = Layout(True, 2, 1, {"0": "negative", "1": "positive", "positive": "positive"})
    with pytest.raises(UnreadableError, match=r"so it is not a header; set `header: false`"):
        read(tmp_path, "a.tsv", f"{first}\tlost\n1\tgood\n", layout)
    assert len(read(tmp_path, "a.tsv", "label\tsentence\n1\tgood\n", layout)) == 1


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "a.tsv", "\ufefflabel\tsentence\n1\tgood\n", NAMED)
    assert found == Record("a.tsv", "line 2", "good", "1")


@pytest.mark.parametrize(
    ("content", "layout", "where", "message"),
    [
        ("label\tsentence\n1\ta\tb\n", NAMED, "line 2", "3 cells under a header of 2; correct"),
        ("1\tgood\n0\n", NUMBERED, "line 2", "1 cells under a first row of 2; correct the row"),
    ],
)
def test_a_row_of_another_width_is_a_finding(
    content: str, layout: Layout, where: str, message: str, tmp_path: Path
) -> None:
    *_, found = read(tmp_path, "a.tsv", content, layout)
    assert isinstance(found, Finding)
    assert (found.kind, found.severity, found.where) == ("malformed", "error", where)
    assert found.message.startswith(message)


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ('{"label": 1', "malformed", "not a JSON object ("),
        ('{"label": 1, "label": 1}', "malformed", "not a JSON object (the key 'label' appears"),
        ("[1]", "malformed", "[1] is not an object"),
        ("[" * 100_000, "malformed", "not a JSON object ("),
        ('{"label": 1}', "missing_field", "no 'sentence'; its keys are ['label']"),
    ],
)  # fmt: skip
def test_a_bad_line_of_json_is_a_finding_and_the_rest_is_read(
    line: str, kind: str, message: str, tmp_path: Path
) -> None:
    content = f'{line}\n{{"label": 1, "sentence": "good"}}\n'
    found, record = read(tmp_path, "a.jsonl", content, NAMED)
    assert isinstance(found, Finding)
    assert (found.kind, found.where) == (kind, "line 1")
    assert found.message.startswith(message)
    assert record == Record("a.jsonl", "line 2", "good", 1)


@pytest.mark.parametrize(
    ("name", "content", "layout", "message"),
    [
        ("a.txt", "x", NAMED, r"a\.txt: a file of this suffix is not read; allowed: \.tsv, \.csv"),
        ("a.tsv", "\n \n", NAMED, r"a\.tsv: the file has no records"),
        ("a.tsv", "label\tsentence\n", NAMED, r"a\.tsv: the file has no rows; add some"),
        ("a.tsv", "label\ttext\n", NAMED, r"no columns 'sentence'; its columns are 'label', 'te"),
        ("a.tsv", "label\tlabel\tsentence\n", NAMED, r"2 columns 'label'; its columns are"),
        ("a.tsv", "good\n", NUMBERED, r"no column 2; its first row has 1"),
        ("a.csv", 'label,sentence\n1,"a" b\n', NAMED, r"a\.csv:2: not valid CSV \("),
        ("a.tsv", b"1\tcaf\xe9\n", NUMBERED, r"not UTF-8 at byte 5; .* \(in Windows-1252 this is"),
        ("a.tsv", b"\xff\xfe1\0", NUMBERED, r"the file is UTF-16; save it as UTF-8"),
        ("a.tsv", b"\x1f\x8b\x08", NUMBERED, r"the file is compressed by gzip; unpack it"),
        ("a.parquet", b"PAR1", NAMED, r"a\.parquet: not a readable Parquet file \("),
    ],
)
def test_a_file_of_which_nothing_can_be_told_is_refused(
    name: str, content: Any, layout: Layout, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        read(tmp_path, name, content, layout)


def test_a_parquet_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"sentence": ["good"]}), tmp_path / "a.parquet")
    with pytest.raises(RetuneError, match=r"no columns 'label'; its columns are 'sentence'"):
        read_records(tmp_path / "a.parquet", "a.parquet", NAMED)
