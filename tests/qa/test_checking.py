from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retune.ingest.findings import count_kinds
from retune.ingest.text_files import UnreadableError
from retune.tasks.qa.download.aligning import is_aligned
from retune.tasks.qa.download.checking import LONGEST_CONTEXT, Checker, Rules
from retune.tasks.qa.download.reading import Record, read_records
from retune.tasks.qa.questions.examples import Answer, Example

CONTEXT = "abc def ghi def"
V1 = Rules(squad_v2=False, realign=False, drop_unanswerable=False)
V2 = Rules(squad_v2=True, realign=False, drop_unanswerable=False)
REALIGN = Rules(squad_v2=True, realign=True, drop_unanswerable=False)


def row(**changes: Any) -> dict[str, Any]:
    answers = [{"text": "abc", "answer_start": 0}]
    sound = {"id": "q1", "context": CONTEXT, "question": "What?", "answers": answers}
    return {k: v for k, v in (sound | changes).items() if v is not ...}


def answer(text: Any, start: Any, context: str = CONTEXT) -> dict[str, Any]:
    return row(context=context, answers=[{"text": text, "answer_start": start}])


def check(rows: list[dict[str, Any]], rules: Rules = V1) -> Checker:
    checker = Checker(rules)
    checker.add(Record("f.json", f"/{number}", values, {}) for number, values in enumerate(rows))
    return checker


def both(one: dict[str, Any], other: dict[str, Any]) -> list[dict[str, Any]]:
    return [one, other]


# what the file has, the rules -> kind, place, what the message says
FAULTS: dict[str, tuple[list[dict[str, Any]], Rules, str, str, str]] = {
    "R05 no answers": ([row(answers=...)], V2, "missing_field", "/0/answers", "no `answers`; for"),
    "R05 no id": ([row(id=...)], V1, "missing_field", "/0/id", "no `id`"),
    "R05 no context": ([row(context=...)], V1, "missing_field", "/0/context", "no `context`"),
    "R05 no question": ([row(question=...)], V1, "missing_field", "/0/question", "no `question`"),
    "R05 no start": (
        [row(answers=[{"text": "a"}])],
        V1,
        "missing_field",
        "/0/answers/0",
        "no `answer_start`",
    ),
    "R06 context null": ([row(context=None)], V1, "wrong_type", "/0/context", "None (NoneType) is"),
    "R06 question 1": ([row(question=1)], V1, "wrong_type", "/0/question", "1 (int) is not a str"),
    "R06 answers null": ([row(answers=None)], V1, "wrong_type", "/0/answers", "None (NoneType) is"),
    "R06 answers text": ([row(answers="abc")], V1, "wrong_type", "/0/answers", "'abc' (str) is"),
    "R06 answer text": ([row(answers=["abc"])], V1, "wrong_type", "/0/answers/0", "is not an obj"),
    "R06 answer null": ([answer(None, 0)], V1, "wrong_type", "/0/answers/0/text", "not a string"),
    "R06 no lists": (
        [row(answers={"text": ["abc"], "answer_start": 0})],
        V1,
        "wrong_type",
        "/0/answers",
        "must both be lists",
    ),
    "R06 title": ([row(title=["T"])], V1, "wrong_type", "/0/title", "['T'] (list) is not"),
    "R06 is_impossible": (
        [row(is_impossible="no")],
        V2,
        "wrong_type",
        "/0/is_impossible",
        "'no' (str) is neither true nor false",
    ),
    "R07 lengths": (
        [row(answers={"text": ["abc", "def"], "answer_start": [0]})],
        V1,
        "answers_length",
        "/0/answers",
        "2 in `text` but 1 in `answer_start`",
    ),
    "R08 start text": (
        [answer("abc", "x")],
        V1,
        "wrong_type",
        "/0/answers/0/answer_start",
        "'x' (str) is not an integer",
    ),
    "R08 start 0.5": (
        [row(answers={"text": ["abc"], "answer_start": [0.5]})],
        V1,
        "wrong_type",
        "/0/answers/answer_start/0",
        "0.5 (float) is not an integer",
    ),
    "R08 start true": (
        [answer("bc", True)],
        V1,
        "wrong_type",
        "/0/answers/0/answer_start",
        "True (bool)",
    ),
    "R09 id 1.0": ([row(id=1.0)], V1, "wrong_type", "/0/id", "1.0 (float) is not a string; write"),
    "R10 same": (
        [row(), row()],
        V1,
        "duplicate_id_same",
        "/1/id",
        "is already at f.json: /0 with the same content; delete one",
    ),
    "R10 different": (
        both(row(), row(question="Why?")),
        V1,
        "duplicate_id",
        "/1/id",
        "with other content; change one",
    ),
    "R11 empty id": ([row(id="")], V1, "empty_field", "/0/id", "the id is empty"),
    "R11 NUL id": ([row(id="a\0b")], V1, "bad_id", "/0/id", r"'a\x00b' has control characters"),
    "R11 newline id": ([row(id="a\nb")], V1, "bad_id", "/0/id", "control characters"),
    "R11 long id": ([row(id="a" * 513)], V1, "bad_id", "/0/id", "over 512 characters"),
    "empty context": ([row(context=" \n")], V1, "empty_field", "/0/context", "context is empty"),
    "empty question": ([row(question="")], V1, "empty_field", "/0/question", "question is empty"),
    "R16 context": (
        [row(context="abc\ud83d")],
        V1,
        "lone_surrogate",
        "/0/context",
        r"'\ud83d', at offset 3",
    ),
    "R16 id": ([row(id="\udc00")], V1, "lone_surrogate", "/0/id", r"'\udc00', at offset 0"),
    "R16 title": ([row(title="\udc00")], V1, "lone_surrogate", "/0/title", "half of a surrogate"),
    "R16 answer": (
        [answer("\ud83d", 0)],
        V1,
        "lone_surrogate",
        "/0/answers/0/text",
        "half of a surrogate pair",
    ),
    "R23 long context": (
        [row(context="abc" + " " * LONGEST_CONTEXT)],
        V1,
        "long_context",
        "/0/context",
        "10,000,003 characters; at most 10,000,000",
    ),
    "A01 +1": (
        [answer("def", 5)],
        V1,
        "misaligned",
        "/0/answers/0/answer_start",
        "'def' is not at offset 5, where the context has 'ef '; `qa.download.realign: true` would "
        "move it to offset 4",
    ),
    "A01 ambiguous": (
        [answer("a", 1, "a a")],
        REALIGN,
        "misaligned",
        "/0/answers/0/answer_start",
        "it is at offsets 0, 2, so correct",
    ),
    "A01 twice, far": (
        [answer("def", 0)],
        REALIGN,
        "misaligned",
        "/0/answers/0/answer_start",
        "it is at offsets 4, 12, so correct",
    ),
    "A01 many": (
        [answer("a", 6, "a a  b b b a a a")],
        REALIGN,
        "misaligned",
        "/0/answers/0/answer_start",
        "at offsets 0, 2, 11 and more",
    ),
    "A02 nowhere": (
        [answer("zzz", 4)],
        REALIGN,
        "misaligned",
        "/0/answers/0/answer_start",
        "where the context has 'def'; it is nowhere in the context",
    ),
    "A03 negative": (
        [answer("f", -1)],
        V1,
        "misaligned",
        "/0/answers/0/answer_start",
        "offset -1, a negative offset",
    ),
    "A03 behind": (
        [answer("abc", 99)],
        V1,
        "misaligned",
        "/0/answers/0/answer_start",
        "offset 99, behind the context's end at 15",
    ),
    "A03 huge": (
        [answer("abc", 10**30)],
        V1,
        "misaligned",
        "/0/answers/0/answer_start",
        "behind the context's end",
    ),
    "A04 empty": ([answer("", 0)], V2, "empty_answer", "/0/answers/0/text", "write `answers: []`"),
    "A05 blank": ([answer(" \t", 3)], V1, "empty_answer", "/0/answers/0/text", r"' \t' is empty"),
    "A15 v1": ([row(answers=[])], V1, "unanswerable", "/0/answers", "set `qa.squad_v2: true`"),
    "A15 v1, lists": (
        [row(answers={"text": [], "answer_start": []})],
        V1,
        "unanswerable",
        "/0/answers",
        "`qa.download.unanswerable: drop`",
    ),
    "A16 impossible": (
        [row(is_impossible=True)],
        V2,
        "impossible_with_answers",
        "/0/is_impossible",
        "is_impossible is true but there are answers",
    ),
    "A16 possible": (
        [row(is_impossible=False, answers=[])],
        V2,
        "no_answer",
        "/0/answers",
        "no answer, though is_impossible is false",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_is_an_error_with_place_and_reason(case: str) -> None:
    rows, rules, kind, where, message = FAULTS[case]
    checker = check(rows, rules)
    (finding,) = checker.findings
    assert (finding.kind, finding.severity, finding.where) == (kind, "error", where)
    assert message in finding.message
    assert len(checker.examples) == len(rows) - 1
    str(finding).encode("utf-8")


# what the file has, the rules -> the answers kept (None: no question), kind and place of the note
MENDED: dict[
    str, tuple[dict[str, Any], Rules, list[tuple[str, int]] | None, list[tuple[str, str]]]
] = {
    "R17 control": (
        row(context="abc\0\x07"),
        V1,
        [("abc", 0)],
        [("control_characters", "/0/context")],
    ),
    "R14 CRLF kept": (row(context="abc\r\n\td"), V1, [("abc", 0)], []),
    "R25 title null": (row(title=None), V1, [("abc", 0)], []),
    "A01 -1": (
        answer("ghi", 7),
        REALIGN,
        [("ghi", 8)],
        [("realigned", "/0/answers/0/answer_start")],
    ),
    "A01 +2": (
        row(answers={"text": ["ghi"], "answer_start": [10]}),
        REALIGN,
        [("ghi", 8)],
        [("realigned", "/0/answers/answer_start/0")],
    ),
    "A01 near one of two": (
        answer("def", 5),
        REALIGN,
        [("def", 4)],
        [("realigned", "/0/answers/0/answer_start")],
    ),
    "A01 far but unique": (
        answer("abc", 99),
        REALIGN,
        [("abc", 0)],
        [("realigned", "/0/answers/0/answer_start")],
    ),
    "A06 left": (answer(" def", 3), V1, [("def", 4)], [("trimmed", "/0/answers/0/text")]),
    "A06 both": (
        answer("\n def\u00a0", 3, "abc\n def\u00a0ghi"),
        V1,
        [("def", 5)],
        [("trimmed", "/0/answers/0/text")],
    ),
    "A06 and A01": (
        answer(" ghi ", 6),
        REALIGN,
        [("ghi", 8)],
        [("realigned", "/0/answers/0/answer_start"), ("trimmed", "/0/answers/0/text")],
    ),
    "A10 NFC in NFD": (
        answer("café", 4, "abc cafe\u0301 def"),
        REALIGN,
        [("cafe\u0301", 4)],
        [("realigned", "/0/answers/0/answer_start")],
    ),
    "A10 NFD in NFC": (
        answer("cafe\u0301", 4, "abc café def"),
        REALIGN,
        [("café", 4)],
        [("realigned", "/0/answers/0/answer_start")],
    ),
    "one of two misaligned": (
        row(
            answers=[{"text": "zzz", "answer_start": 0}, {"text": "def", "answer_start": 4}],
        ),
        REALIGN,
        [("def", 4)],
        [("dropped_answer", "/0/answers/0/answer_start")],
    ),
    "A15 dropped": (
        row(answers=[], is_impossible=True),
        Rules(squad_v2=False, realign=False, drop_unanswerable=True),
        None,
        [("dropped_unanswerable", "/0/answers")],
    ),
    "v2 unanswerable": (row(answers=[], is_impossible=True), V2, [], []),
    "v2 no flag": (row(answers={"text": [], "answer_start": []}, is_impossible=None), V2, [], []),
}


@pytest.mark.parametrize("case", MENDED)
def test_what_is_mended_or_dropped_is_noted(case: str) -> None:
    values, rules, kept, notes = MENDED[case]
    checker = check([values], rules)
    assert [(f.kind, f.where, f.severity) for f in checker.findings] == [
        (*note, "note") for note in notes
    ]
    found = [[(a.text, a.start) for a in e.answers] for e in checker.examples]
    assert found == ([] if kept is None else [kept])


def test_a_misaligned_answer_is_an_error_although_another_is_right() -> None:
    answers = [{"text": "zzz", "answer_start": 0}, {"text": "def", "answer_start": 4}]
    (finding,) = check([row(answers=answers)], V1).findings
    assert finding.kind == "misaligned"


def test_all_faults_of_all_records_are_found() -> None:
    broken = row(id=7.5, question="", answers=[{"text": "x", "answer_start": 0}] * 2)
    checker = check([broken, row(), row(id="q2", context=None)])
    assert [f.where for f in checker.findings] == [
        "/0/id",
        "/0/question",
        "/0/answers/0/answer_start",
        "/0/answers/1/answer_start",
        "/2/context",
    ]
    assert [f.id for f in checker.findings] == ["7.5", "7.5", "7.5", "7.5", "q2"]
    assert [e.id for e in checker.examples] == ["q1"]


def test_all_faults_of_one_text_are_named() -> None:
    broken = row(
        id="a\n\ud83d",
        context="abc\x07 \ud83d",
        answers=[{"text": "\ud83d", "answer_start": "x"}],
        is_impossible="no",
    )
    assert [(f.kind, f.where) for f in check([broken]).findings] == [
        ("lone_surrogate", "/0/id"),
        ("bad_id", "/0/id"),
        ("control_characters", "/0/context"),
        ("lone_surrogate", "/0/context"),
        ("lone_surrogate", "/0/answers/0/text"),
        ("wrong_type", "/0/answers/0/answer_start"),
        ("wrong_type", "/0/is_impossible"),
    ]


def test_a_repeated_question_is_kept_and_noted() -> None:
    checker = check([row(), row(id="q2", answers=[{"text": "def", "answer_start": 4}])])
    (finding,) = checker.findings
    assert (finding.kind, finding.severity, finding.id) == ("repeated_question", "note", "q2")
    assert len(checker.examples) == 2


def test_control_characters_are_noted_once_a_context() -> None:
    checker = check([row(context="abc\0"), row(context="abc\0", id="q2", question="Who?")])
    assert count_kinds(checker.findings) == {"control_characters": 1}


def test_examples_have_all_fields() -> None:
    (example,) = check([row(title="T")]).examples
    assert example == Example("q1", "T", CONTEXT, "What?", (Answer("abc", 0),))


# real data: path, rules -> examples, counts of findings
REAL: list[tuple[str, Rules, int, dict[str, int]]] = [
    ("squadshifts/new_wiki_v1.0.json", V1, 7938, {"repeated_question": 200}),
    ("squad-train-sample/train.json", V1, 3547, {"repeated_question": 2}),
    ("squad2/dev-v2.0.json", V2, 6078, {"differing_copies": 3, "repeated_question": 3}),
    ("squad2/dev-v2.0.json", V1, 2910, {"repeated_question": 3, "unanswerable": 3168}),
    ("xquad/xquad.es.json", V1, 1190, {"repeated_question": 6}),
    ("xquad/xquad.zh.json", V1, 1190, {"repeated_question": 9}),
    ("xquad/xquad.ar.json", V1, 1190, {"repeated_question": 4}),
    (
        "covid-qa/200423_covidQA.json",
        V1,
        1184,
        {
            "converted": 1,
            "misaligned": 196,
            "offset_units": 1,
            "repeated_question": 14,
            "trimmed": 190,
        },
    ),
    (
        "covid-qa/200423_covidQA.json",
        REALIGN,
        1380,
        {"converted": 1, "realigned": 234, "repeated_question": 20, "trimmed": 386},
    ),
    (
        "faquad/train.json",
        REALIGN,
        837,
        {"realigned": 30, "repeated_question": 2, "trimmed": 10},
    ),
    ("faquad/dev.json", V1, 60, {"misaligned": 4, "trimmed": 3}),
    ("faquad/dev.json", REALIGN, 63, {"dropped_answer": 2, "realigned": 2, "trimmed": 3}),
]


@pytest.mark.parametrize(("name", "rules", "examples", "kinds"), REAL)
def test_real_data(
    shared_data: Callable[[str], Path],
    name: str,
    rules: Rules,
    examples: int,
    kinds: dict[str, int],
) -> None:
    path = shared_data(name)
    checker = Checker(rules)
    checker.add(read_records(path, path.name))
    assert len(checker.examples) == examples
    assert count_kinds(checker.findings) == kinds
    assert all(is_aligned(e.context, a) for e in checker.examples for a in e.answers)


def test_a_context_that_is_too_long_is_an_error_each_time() -> None:
    context = "abc" + " " * LONGEST_CONTEXT
    checker = check([row(context=context), row(context=context, id="q2")])
    assert count_kinds(checker.findings) == {"long_context": 2}
    assert checker.examples == []


def test_a_value_too_deep_to_be_shown_is_a_sentence() -> None:
    title: list[Any] = []
    for _ in range(5000):
        title = [title]
    with pytest.raises(UnreadableError, match=r"f\.json:/0: nested too deeply"):
        check([row(title=title)])
