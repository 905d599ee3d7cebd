"""Planted faults: each is found, of its kind, at its place, with its question."""

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from pyarrow import parquet

from retune.ingest.findings import Finding
from retune.ingest.text_files import UnreadableError
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.reading import Record, read_records
from retune.tasks.qa.tokenize.audit import KINDS as WINDOW_KINDS
from retune.tools.data_doctor.doctor import Examined, Options, diagnose, fix
from retune.tools.data_doctor.tolerant_reader import tolerant_records

CONTEXT = "abc def ghi def café"
WORDS = " ".join(f"word{number}" for number in range(60))
Q = "/data/0/paragraphs/0/qas/0"
ANSWER = f"{Q}/answers/0"
OTHER = "/data/0/paragraphs/0/qas/1"


def question(**changes: Any) -> dict[str, Any]:
    answers = [{"text": "abc", "answer_start": 0}]
    sound = {"id": "q1", "question": "What?", "answers": answers}
    return {key: value for key, value in (sound | changes).items() if value is not ...}


def nested(*questions: Any, context: Any = CONTEXT, title: Any = "T", **top: Any) -> dict[str, Any]:
    paragraph = {"context": context, "qas": list(questions or [question()])}
    article = {"title": title, "paragraphs": [paragraph]}
    if title is ...:
        del article["title"]
    return {"version": "1.1", "data": [article]} | top


def one(**changes: Any) -> bytes:
    return dump(nested(question(**changes)))


def answer(text: Any, start: Any, context: str = CONTEXT) -> bytes:
    return dump(nested(question(answers=[{"text": text, "answer_start": start}]), context=context))


def two(**changes: Any) -> bytes:
    return dump(nested(question(), question(**{"id": "q2", "question": "Why?"} | changes)))


def dump(value: Any, **options: Any) -> bytes:
    return json.dumps(value, **options).encode()


def flat(**changes: Any) -> dict[str, Any]:
    return question(context=CONTEXT, **changes)


def table(*rows: str, head: str = "id,context,question,answer_text,answer_start") -> bytes:
    return "".join(f"{row}\n" for row in (head, *rows)).encode()


def columns(**changes: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([flat(**changes)]), buffer)
    return buffer.getvalue()


class Fault(NamedTuple):
    data: bytes
    kind: str
    where: str
    id: str = "q1"
    mended: bool = False
    name: str = "f.json"
    squad_v2: bool = False


WHOLE = dump(nested(), indent=1)
SPLIT = b'[{"id": "q1",\r\n"question": "?", "context": "a", "answers": []}]'
FAULTS: dict[str, Fault] = {
    # bytes and text
    "UTF-8 mark": Fault(b"\xef\xbb\xbf" + WHOLE, "bom", "", "", True),
    "UTF-16": Fault(WHOLE.decode().encode("utf-16"), "wrong_encoding", "", "", True),
    "UTF-16 big": Fault(
        b"\xfe\xff" + WHOLE.decode().encode("utf-16-be"), "wrong_encoding", "", "", True
    ),
    "UTF-32": Fault(WHOLE.decode().encode("utf-32"), "wrong_encoding", "", "", True),
    "UTF-16 broken": Fault(b"\xff\xfe[", "wrong_encoding", "", ""),
    "UTF-16 unmarked": Fault(WHOLE.decode().encode("utf-16-le"), "wrong_encoding", "", ""),
    "Latin-1": Fault(WHOLE.replace(b"abc", b"\xe9bc"), "wrong_encoding", "", ""),
    "CRLF": Fault(WHOLE.replace(b"\n", b"\r\n"), "crlf", "", ""),
    "gzip": Fault(b"\x1f\x8b....", "archive", "", ""),
    "empty": Fault(b" \n", "empty_file", "", ""),
    "no questions": Fault(dump(nested() | {"data": []}), "empty_file", "", ""),
    "cut in a string": Fault(WHOLE[: WHOLE.index(b"What")], "truncated", "12:20", ""),
    "cut at the end": Fault(WHOLE[:-3], "truncated", "24:2", ""),
    "cut line": Fault(dump(flat()) + b'\n{"id": "q2', "truncated", "2:8", "", name="f.jsonl"),
    "comma in a list": Fault(WHOLE.replace(b"]", b", ]", 1), "trailing_comma", "18:8", "", True),
    "comma in an object": Fault(
        WHOLE.replace(b'"T"', b'"T", "x": {"y": "a,]",}'), "trailing_comma", "5:34", "", True
    ),
    "comma in a line": Fault(
        dump(flat()) + b'\n{"id": "q2", }', "trailing_comma", "2:12", "", True, "f.jsonl"
    ),
    "lone comma": Fault(b"[,]", "invalid_json", "1:2", ""),
    "key twice": Fault(b'[{"id": "a",\n "id": "b"}]', "duplicate_key", "2:2", ""),
    "NaN": Fault(b'[{"id":\n NaN}]', "invalid_json", "2:2", ""),
    "single quotes": Fault(b"[{'id': 1}]", "invalid_json", "1:3", ""),
    "too deep": Fault(b"[" * 10_000, "invalid_json", "1:1", ""),
    "web page": Fault(b"<!DOCTYPE html>", "invalid_json", "1:1", ""),
    "CSV quotes": Fault(table('a,"b"c,d,e,1'), "invalid_csv", "2", "", name="f.csv"),
    "CSV column": Fault(table("a", head="id"), "missing_column", "", "", name="f.csv"),
    "Parquet": Fault(b"PAR1....", "invalid_parquet", "", ""),
    "columns": Fault(b'{"id": [], "context": []}', "unknown_form", "", ""),
    # structure
    "no object": Fault(dump({"data": [1, flat()]}), "malformed", "/data/0", ""),
    "other keys": Fault(dump([flat(), {"text": "abc"}]), "malformed", "/1", ""),
    "CSV cells": Fault(table("a,b", "q1,x,y,,"), "malformed", "line 2:", "", name="f.csv"),
    "bare list": Fault(dump(nested()["data"]), "bare_list", "", "", True),
    "question among articles": Fault(
        dump(nested() | {"data": [*nested()["data"], flat(id="q2")]}),
        "mixed_layout",
        "/data/1",
        "",
        True,
    ),
    "paragraphs without article": Fault(
        dump({"data": nested()["data"][0]["paragraphs"]}), "mixed_layout", "/data/0/qas/0", "", True
    ),
    "no title": Fault(dump(nested(title=...)), "missing_title", "/data/0/title", "", True),
    "null title": Fault(dump(nested(title=None)), "missing_title", "/data/0/title", "", True),
    "title 7": Fault(dump(nested(title=7)), "wrong_type", "/data/0/title", mended=True),
    "lists": Fault(
        one(answers={"text": ["abc"], "answer_start": [0]}),
        "list_answers",
        f"{Q}/answers",
        mended=True,
    ),
    "one answer": Fault(
        one(answers={"text": "abc", "answer_start": 0}), "converted", f"{Q}/answers", mended=True
    ),
    "text alone": Fault(one(answers=["abc"]), "wrong_type", ANSWER, mended=True),
    "text twice": Fault(one(answers=["def"]), "wrong_type", ANSWER),
    "no start": Fault(one(answers=[{"text": "ghi"}]), "missing_field", ANSWER, mended=True),
    "wrong version": Fault(
        one(answers=[], is_impossible=True), "wrong_version", "/version", "", True, squad_v2=True
    ),
    "mixed versions": Fault(
        two(is_impossible=False), "mixed_versions", f"{Q}/is_impossible", mended=True
    ),
    "impossible unsaid": Fault(
        one(answers=[]), "impossible_unsaid", f"{Q}/is_impossible", mended=True, squad_v2=True
    ),
    "impossible, no answers": Fault(
        one(answers=..., is_impossible=True), "missing_field", f"{Q}/answers", mended=True
    ),
    "impossible, blank": Fault(
        one(answers=[{"text": "", "answer_start": -1}], is_impossible=True),
        "empty_answer",
        f"{Q}/answers",
        mended=True,
    ),
    "impossible 'True'": Fault(
        one(is_impossible="False"), "wrong_type", f"{Q}/is_impossible", mended=True
    ),
    "impossible 'no'": Fault(one(is_impossible="no"), "wrong_type", f"{Q}/is_impossible"),
    # fields
    "id 7": Fault(one(id=7), "converted", f"{Q}/id", "7", True),
    "id 7 and '7'": Fault(
        dump(nested(question(id="7"), question(id=7, question="?"))),
        "duplicate_id",
        f"{OTHER}/id",
        "7",
    ),
    "id null": Fault(one(id=None), "wrong_type", f"{Q}/id", "None"),
    "id absent": Fault(one(id=...), "missing_field", f"{Q}/id", ""),
    "id empty": Fault(one(id=""), "empty_field", f"{Q}/id", ""),
    "id with NUL": Fault(one(id="a\0"), "bad_id", f"{Q}/id", "a\0"),
    "id twice": Fault(two(id="q1"), "duplicate_id", f"{OTHER}/id"),
    "question twice": Fault(
        two(id="q1", question="What?"), "duplicate_id_same", f"{OTHER}/id", mended=True
    ),
    "same question": Fault(two(question="What?"), "repeated_question", f"{OTHER}/question", "q2"),
    "copy without answer": Fault(
        dump([flat(), flat(id="q2", question="What? ", answers=[])]),
        "differing_copies",
        "/1/question",
        "q2",
        squad_v2=True,
    ),
    "SQuAD 2.0": Fault(
        dump(nested(question(answers=[], is_impossible=True)) | {"version": "v2.0"}),
        "squad_v2",
        "",
        "",
    ),
    "context null": Fault(dump(nested(context=None)), "wrong_type", "/data/0/paragraphs/0/context"),
    "context blank": Fault(
        dump(nested(context=" ")), "empty_field", "/data/0/paragraphs/0/context"
    ),
    "context absent": Fault(dump([question()]), "missing_field", "/0/context"),
    "question empty": Fault(one(question=""), "empty_field", f"{Q}/question"),
    "answers absent": Fault(one(answers=...), "missing_field", f"{Q}/answers"),
    "answers null": Fault(one(answers=None), "wrong_type", f"{Q}/answers"),
    "answers of two lengths": Fault(
        one(answers={"text": ["abc"], "answer_start": []}), "answers_length", f"{Q}/answers"
    ),
    "answer null": Fault(one(answers=[None]), "wrong_type", ANSWER),
    "start '4'": Fault(answer("def", "4"), "converted", f"{ANSWER}/answer_start", mended=True),
    "start 4.0": Fault(answer("def", 4.0), "converted", f"{ANSWER}/answer_start", mended=True),
    "start 4.5": Fault(answer("def", 4.5), "wrong_type", f"{ANSWER}/answer_start"),
    "start 'x'": Fault(
        table("q1,abc,?,abc,x"), "wrong_type", "line 2:/answers/0/answer_start", name="f.csv"
    ),
    # characters
    "surrogate": Fault(
        dump(nested(context="abc\ud83d")), "lone_surrogate", "/data/0/paragraphs/0/context"
    ),
    "control": Fault(
        dump(nested(context="abc\x07")), "control_characters", "/data/0/paragraphs/0/context"
    ),
    "control in a question": Fault(one(question="a\0"), "control_characters", f"{Q}/question"),
    "zero width": Fault(
        dump(nested(context="abc\u200bdef")),
        "invisible_characters",
        "/data/0/paragraphs/0/context",
    ),
    "replacement": Fault(one(question="caf\ufffd?"), "replacement_character", f"{Q}/question"),
    "mojibake": Fault(one(question="cafÃ©?"), "mojibake", f"{Q}/question"),
    "NFD beside NFC": Fault(one(question="cafe\u0301?"), "unicode_mix", f"{Q}/question"),
    # answers
    "off by one": Fault(answer("ghi", 9), "misaligned", f"{ANSWER}/answer_start", mended=True),
    "near one of two": Fault(answer("def", 6), "misaligned", f"{ANSWER}/answer_start", mended=True),
    "far but once": Fault(answer("abc", 99), "misaligned", f"{ANSWER}/answer_start", mended=True),
    "far and twice": Fault(answer("def", 99), "misaligned", f"{ANSWER}/answer_start"),
    "nowhere": Fault(answer("xyz", 0), "misaligned", f"{ANSWER}/answer_start"),
    "negative": Fault(answer("xyz", -1), "misaligned", f"{ANSWER}/answer_start"),
    "NFD in NFC": Fault(
        answer("cafe\u0301", 16), "not_verbatim", f"{ANSWER}/answer_start", mended=True
    ),
    "other spelling": Fault(
        answer("“Abc”\u00a0d", 0, '"abc" d'), "not_verbatim", f"{ANSWER}/answer_start", mended=True
    ),
    "UTF-16 units": Fault(
        dump(
            nested(
                question(answers=[{"text": "abc", "answer_start": 3}]),
                question(id="q2", question="?", answers=[{"text": "def", "answer_start": 7}]),
                context="\U0001f600 abc def",
            )
        ),
        "offset_units",
        "",
        "",
        True,
    ),
    "edge": Fault(answer(" def", 3), "trimmed", f"{ANSWER}/text", mended=True),
    "edge in a row": Fault(
        columns(answers={"text": [" def"], "answer_start": [3]}),
        "trimmed",
        "row 0:/answers/text/0",
        mended=True,
        name="f.parquet",
    ),
    "edge in a line": Fault(
        dump(flat(answers=[{"text": "abc ", "answer_start": 0}])),
        "trimmed",
        "/answers/0/text",
        mended=True,
        name="f.jsonl",
    ),
    "blank answer": Fault(answer(" ", 3), "empty_answer", f"{ANSWER}/text"),
    "unanswerable": Fault(one(answers=[], is_impossible=True), "unanswerable", f"{Q}/answers"),
    "impossible with answers": Fault(
        one(is_impossible=True), "impossible_with_answers", f"{Q}/is_impossible", squad_v2=True
    ),
    "possible without": Fault(
        one(answers=[], is_impossible=False), "no_answer", f"{Q}/answers", squad_v2=True
    ),
    "almost the same context": Fault(
        dump([question(context=f"abc {WORDS}"), question(id="q2", context=f"abc {WORDS} too")]),
        "similar_context",
        "/1/context",
        "q2",
    ),
}


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def doctor(path: Path, **options: bool) -> Examined:
    (examined,) = diagnose([path], [], Options(**options))
    return examined


def found(examined: Examined, kind: str) -> Finding:
    (finding,) = (finding for finding in examined.findings if finding.kind == kind)
    return finding


def read(path: Path) -> list[Record]:
    return [record for record in read_records(path, path.name) if isinstance(record, Record)]


def test_there_are_many_planted_faults() -> None:
    assert len(FAULTS) >= 60


@pytest.mark.parametrize("case", FAULTS)
def test_a_planted_fault_is_found_at_its_place(tmp_path: Path, case: str) -> None:
    fault = FAULTS[case]
    examined = doctor(write(tmp_path, fault.name, fault.data), squad_v2=fault.squad_v2)
    finding = found(examined, fault.kind)
    assert (finding.where, finding.id) == (fault.where, fault.id)
    assert (finding.change is not None) is fault.mended
    assert examined.needs_care is (fault.mended or finding.severity == "error")


@pytest.mark.parametrize("case", [name for name, fault in FAULTS.items() if fault.mended])
def test_what_is_mended_is_gone_from_the_copy(tmp_path: Path, case: str) -> None:
    fault = FAULTS[case]
    examined = doctor(write(tmp_path, fault.name, fault.data), squad_v2=fault.squad_v2)
    out = tmp_path / "out.json"
    fix(examined, out)
    again = doctor(out, squad_v2=fault.squad_v2)
    assert [f for f in again.findings if f.kind == fault.kind or f.change] == []
    assert len(again.records) == len(examined.records)


def test_a_sound_file_has_no_findings(tmp_path: Path) -> None:
    assert doctor(write(tmp_path, "f.json", WHOLE)).findings == []


def test_every_kind_is_planted_here_or_in_another_test() -> None:
    elsewhere = {
        *("realigned", "dropped_unanswerable", "long_context"),  # test_checking
        *("dropped_answer", "dropped_question"),  # test_doctor_fix
        *("unreadable", "shared_id", "shared_context", "near_context"),  # test_doctor_command
        *WINDOW_KINDS,  # test_tokenize
        *("dropped_empty_answer", "unplaced_answer", "unknown_tokens"),  # test_audit_faults
        "repeated_id",  # test_pickle_faults
        "implausible_label",  # test_doctor_model
    }
    assert {fault.kind for fault in FAULTS.values()} == KINDS.keys() - elsewhere


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe[", "f.json: its mark says utf-16-le, but byte 2 is not; export"),
        (b"[1, NaN, ]", "f.json:1:5: NaN is not JSON"),
        (b'{"data": [], } x', "f.json:1:16: the JSON value ends here"),
    ],
)
def test_what_is_beyond_certain_mends_is_unreadable(
    tmp_path: Path, data: bytes, message: str
) -> None:
    with pytest.raises(UnreadableError, match=message):
        tolerant_records(write(tmp_path, "f.json", data), "f.json")
