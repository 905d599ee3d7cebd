"""Mended copies: what changes, what is kept, what is left out, and the log of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from test_doctor import ANSWER, Q, doctor, dump, flat, nested, question, read, write

from retune.core.errors import RetuneError
from retune.core.files import read_json_lines
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.reading import read_records
from retune.tools.data_doctor.causes import unfolded
from retune.tools.data_doctor.doctor import fix


def test_covid_qa_is_mended_but_for_nothing(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    source = shared_data("covid-qa/200423_covidQA.json")
    examined = doctor(source)
    changed = [f.kind for f in unfolded(examined.findings) if f.change]
    assert {kind: changed.count(kind) for kind in set(changed)} == {
        "misaligned": 196,
        "missing_title": 98,
        "offset_units": 38,
        "trimmed": 386,
        "converted": 1380,
    }
    out = tmp_path / "out.json"
    assert fix(examined, out) == len(changed)
    checker = Checker(Rules(squad_v2=False, realign=False, drop_unanswerable=False))
    checker.add(read_records(out, out.name))
    assert len(checker.examples) == 1380
    assert {f.kind for f in checker.findings} == {"repeated_question"}
    contexts = [{r.values["context"] for r in read(path)} for path in (source, out)]
    assert contexts[0] == contexts[1]


def test_the_log_has_every_change(tmp_path: Path) -> None:
    data = nested(question(id=7, answers=[{"text": "abc ", "answer_start": 1}]))
    out = tmp_path / "out.json"
    assert fix(doctor(write(tmp_path, "f.json", dump(data))), out) == 3
    before, after = {"answer_start": 1, "text": "abc "}, {"answer_start": 0, "text": "abc"}
    rows = [
        (row["where"], row["id"], row["kind"], row["before"], row["after"])
        for row in read_json_lines(tmp_path / "out.json.log.jsonl")
    ]
    assert rows == [
        (f"{ANSWER}/answer_start", "7", "misaligned", before, after),
        (f"{ANSWER}/text", "7", "trimmed", before, after),
        (f"{Q}/id", "7", "converted", 7, "7"),
    ]
    assert read(out)[0].values["answers"] == [after]


def test_keys_that_nobody_knows_are_kept(tmp_path: Path) -> None:
    data = nested(question(id=1, score=0.5), source="here")
    data["data"][0]["topic"] = {"b": [1, None]}
    data["data"][0]["paragraphs"][0]["document_id"] = 5
    out = tmp_path / "out.json"
    fix(doctor(write(tmp_path, "f.json", dump(data))), out)
    data["data"][0]["paragraphs"][0]["qas"][0]["id"] = "1"
    assert json.loads(out.read_text()) == data


def test_a_copy_that_would_lose_something_is_not_written(tmp_path: Path) -> None:
    path, out = write(tmp_path, "f.json", dump([1, flat()])), tmp_path / "out.json"
    with pytest.raises(RetuneError, match=r"has 1 items that are no questions, the first at /0; "):
        fix(doctor(path), out)
    assert not out.exists()
    fix(doctor(path, drop=True), out)
    assert len(read(out)) == 1
    with pytest.raises(RetuneError, match="not readable, so there is nothing to correct"):
        fix(doctor(write(tmp_path, "g.json", b"[")), out)
    endless = write(tmp_path, "h.json", dump([flat()])[:-2] + b', "score": 1e999}]')
    with pytest.raises(RetuneError, match=r"not written: .* a number that JSON cannot hold"):
        fix(doctor(endless), out)


def test_what_cannot_be_mended_stays_unless_it_is_to_be_dropped(tmp_path: Path) -> None:
    lost, right = {"text": "xyz", "answer_start": 0}, {"text": "abc", "answer_start": 0}
    data = nested(
        question(answers=[lost, right]),
        question(id="q2", question=""),
        question(id="q3", question="Who?", answers=[lost]),
    )
    path, out = write(tmp_path, "f.json", dump(data)), tmp_path / "out.json"
    assert fix(doctor(path), out) == 0
    assert json.loads(out.read_text()) == data
    dropped = doctor(path, drop=True)
    assert fix(dropped, out) == 3
    kinds = [(f.kind, f.id) for f in dropped.findings if f.change]
    assert [f.where for f in dropped.findings if f.kind == "dropped_question"] == [
        f"/data/0/paragraphs/0/qas/{number}" for number in (1, 2)
    ]
    assert kinds == [
        ("dropped_answer", "q1"),
        ("dropped_question", "q2"),
        ("dropped_question", "q3"),
    ]
    (record,) = read(out)
    assert record.values["answers"] == [right]
    assert doctor(out).findings == []
