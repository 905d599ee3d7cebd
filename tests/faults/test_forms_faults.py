"""Questions in the forms that tools export, and forms that are no questions."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tiny
from pyarrow import parquet

from retune.core.errors import RetuneError
from retune.core.params import Params
from retune.ingest.text_files import UnreadableError
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.reading import read_records
from retune.tasks.qa.download.reading_literals import parse_literal
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, Windower
from retune.tools.ask.qa import asker
from retune.tools.ask.qa_file import ask_file, read_questions
from retune.tools.cli.main import main
from retune.tools.data_doctor.doctor import Options, diagnose, fix

CONTEXT = "The ferry leaves at nine. The bridge is closed."
QUESTION = {"id": "a", "context": CONTEXT, "question": "When?"}
NINE = ("nine", 20)
HEAD = "id,context,question"
ROW = f"a,{CONTEXT},When?"


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def one(**fields: Any) -> str:
    return json.dumps([QUESTION | fields])


def nested(**fields: Any) -> str:
    qas = [{"id": "a", "question": "When?"} | fields]
    return json.dumps({"data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": qas}]}]})


def check(folder: Path, name: str, content: str) -> Checker:
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    checker = Checker(Rules(squad_v2=True, realign=False, drop_unanswerable=False))
    checker.add(read_records(path, name))
    return checker


def answers(examples: list[Example]) -> list[tuple[str, int]]:
    return [(answer.text, answer.start) for example in examples for answer in example.answers]


@pytest.mark.parametrize(
    ("name", "content", "notes"),
    [
        case("R41 one object under `answer`", "t.json",
             nested(answer={"text": "nine", "answer_start": 20}), 2),
        case("R41 a list under `answer`", "t.json",
             one(answer=[{"text": "nine", "answer_start": 20}]), 1),
        case("R41 `answer` where `answers` is null", "t.json",
             one(answers=None, answer=[{"text": "nine", "answer_start": 20}]), 1),
        case("R41 a text with its offset and its end", "t.jsonl",
             one(answer="nine", answer_start=20, answer_end=24), 1),
        case("R41 documented columns in JSON lines", "t.jsonl",
             one(answer_text="nine", answer_start=20), 0),
        case("R41 lists in two columns", "t.jsonl", one(text=["nine"], answer_start=[20]), 1),
        case("R41 lists of texts and of offsets", "t.json",
             one(answers=["nine"], answer_starts=[20]), 1),
        case("R41 flattened columns", "t.csv",
             f"{HEAD},answers.text,answers.answer_start\n{ROW},['nine'],[20]\n", 1),
        case("R42 one object", "t.json", one(answers={"text": "nine", "answer_start": 20}), 1),
        case("R42 other names", "t.json", one(answers=[{"text": "nine", "start": 20}]), 1),
        case("R42 a list of offsets", "t.json",
             one(answers=[{"text": "nine", "answer_start": [20]}]), 1),
        case("R42 a float in a cell", "t.csv",
             f",{HEAD},answer_text,answer_start\n0,{ROW},nine,20.0\n", 1),
        case("R43 Python", "t.csv",
             f"{HEAD},answers\n{ROW},\"{{'text': ['nine'], 'answer_start': [20]}}\"\n", 0),
        case("R43 numpy", "t.csv",
             f"{HEAD},answers\n{ROW},\"{{'answer_start': array([20], dtype=int32),\n"
             " 'text': array(['nine'], dtype=object)}\"\n", 0),
        case("R43 numpy's numbers", "t.jsonl",
             one(answers="{'text': ['nine'], 'answer_start': [np.int64(20)]}"), 1),
        case("R44 semicolons", "t.csv",
             f"{HEAD},answer_text,answer_start\n{ROW},nine,20\n".replace(",", ";"), 1),
        case("R44 semicolons and decimal commas", "t.csv",
             f"{HEAD},answer_text,answer_start\n{ROW},nine,20".replace(",", ";") + ",0\n", 2),
        case("R44 the delimiter in Excel's first line", "t.csv",
             f"sep=;\r\n{HEAD};answer_text;answer_start\r\n{ROW};nine;20\r\n".replace(",", ";"), 1),
        case("R44 tabs in a .csv, and a column without a name twice", "t.csv",
             f"{HEAD},answer_text,answer_start,,\n{ROW},nine,20,,\n".replace(",", "\t"), 1),
    ],
)  # fmt: skip
def test_a_form_with_one_meaning_is_read_and_noted(
    name: str, content: str, notes: int, tmp_path: Path
) -> None:
    checker = check(tmp_path, name, content)
    assert [(f.kind, f.severity) for f in checker.findings] == [("converted", "note")] * notes
    assert answers(checker.examples) == [NINE]
    (examined,) = diagnose([tmp_path / name], [], Options(squad_v2=True))
    assert not [finding for finding in examined.findings if finding.severity == "error"]
    fix(examined, tmp_path / "mended.json")
    (again,) = diagnose([tmp_path / "mended.json"], [], Options(squad_v2=True))
    assert again.findings == []
    assert again.records[0].values["answers"] == [{"text": "nine", "answer_start": 20}]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        case("R41 two columns of Parquet, by pandas",
             {"answer_text": ["nine", None], "answer_start": [20.0, None]}, [NINE]),
        case("R41 two columns of Parquet, with NaN",
             {"text": ["nine", ""], "answer_start": [20.0, float("nan")]}, [NINE]),
        case("R41 lists in columns of Parquet",
             {"text": [["nine"], []], "answer_start": [[20], []]}, [NINE]),
    ],
)  # fmt: skip
def test_columns_of_parquet_are_read_as_those_of_csv(
    columns: dict[str, Any], expected: list[tuple[str, int]], tmp_path: Path
) -> None:
    base = {"id": [1, 2], "context": [CONTEXT] * 2, "question": ["When?", "Who?"]}
    parquet.write_table(pa.table(base | columns), tmp_path / "t.parquet")
    checker = Checker(Rules(squad_v2=True, realign=False, drop_unanswerable=False))
    checker.add(read_records(tmp_path / "t.parquet", "t.parquet"))
    assert {finding.severity for finding in checker.findings} == {"note"}
    assert [example.id for example in checker.examples] == ["1", "2"]
    assert answers(checker.examples) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        case("R45 an answer without a place", "t.json", one(answer="nine"),
             r"no `answers`, but `answer` \('nine'\); write the text and its offset as answers: "),
        case("R45 two texts", "t.json", one(answer="nine", answer_text="ten", answer_start=20),
             r"no `answers`, but `answer` \('nine'\), `answer_text` \('ten'\), `answer_start`"),
        case("R45 a text under `answers`", "t.json", one(answers="nine"),
             r"'nine' \(str\) is not a list of answers; write the text and its offset as answers"),
        case("R45 a place without a text", "t.json",
             one(answers=[{"answer_start": 20, "answer_end": 24}]),
             r"no `text`; its keys are \['answer_start', 'answer_end'\], and an answer needs both"),
        case("R70 an answer under a name of no form", "t.json", one(gold="nine", label="nine"),
             r"no `answers`, but `gold` \('nine'\), `label` \('nine'\); write the text and its"),
        case("R45 no answer anywhere", "t.json", one(),
             "no `answers`; for a question without an answer write `answers: .*`retune ask --data"),
        case("R48 code in a cell", "t.csv", f'{HEAD},answers\n{ROW},"[open(\'x\')]"\n',
             "is not JSON; write"),
    ],
)  # fmt: skip
def test_an_answer_that_has_no_one_meaning_is_named(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    checker = check(tmp_path, name, content)
    (finding,) = checker.findings
    assert finding.severity == "error"
    assert re.search(message, finding.message)
    assert ("`answers: []`" in finding.message) == ("without an answer" in message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        case("R46 CMRC 2018", "t.json",
             json.dumps([{"context_id": "T", "context_text": CONTEXT, "title": "t", "qas": [
                 {"query_id": "1", "query_text": "When?", "answers": ["nine"]}]}]),
             r"t\.json: found CMRC 2018's own form, .* or write context_text as `context`"),
        case("R46 Disfl-QA", "t.json", json.dumps({"5": {"original": "a?", "disfluent": "no a?"}}),
             "found Disfl-QA, .* replace the `question` of each id by `disfluent`"),
        case("R46 SubjQA", "t.csv", "q_review_id,question,review,human_ans_spans,human_ans_indices"
             "\n1,q,r,nine,\"(20, 24)\"\n", "found SubjQA's own columns; write q_review_id as"),
        case("R46 KorQuAD 2 with answers in HTML alone", "t.json",
             json.dumps({"data": [{"raw_html": "<p>", "context": CONTEXT, "qas": [
                 {"id": "1", "question": "q", "answer": {"html_answer_start": 3}}]}]}),
             "found KorQuAD 2's form with answers in HTML only; write each answer's place"),
        case("R46 CoQA", "t.json", json.dumps({"data": [{"story": "s", "questions": []}]}),
             "found CoQA's form; write story as `context`"),
        case("R46 DROP", "t.json", json.dumps({"nfl_1": {"passage": "p", "qa_pairs": []}}),
             "found DROP's form"),
        case("R46 HotpotQA", "t.json", one(supporting_facts=[]), "found HotpotQA's form; join"),
        case("R46 MRQA, behind its header", "t.jsonl",
             '{"header": {"dataset": "S"}}\n{"context": "c", "qas": [{"qid": "1", "detected_answers'
             '": [{"text": "c", "char_spans": [[0, 0]]}]}]}\n', "line 2: found MRQA's form"),
        case("R46 Natural Questions", "t.jsonl", '{"document_text": "d", "annotations": []}\n',
             "found Natural Questions' form"),
        case("R47 a table with a header", "t.tsv", "text\tlabel\nA fine plot\t1\n",
             r"t\.tsv: found labelled texts, .* `sentiment\.datasets\.files`"),
        case("R47 a table without one", "t.tsv", "1\tA fine plot\n", "found labelled texts"),
        case("R47 JSON lines", "t.jsonl", '{"text": "fine", "label": 1}\n', "found labelled texts"),
    ],
)  # fmt: skip
def test_a_form_that_is_not_read_is_named_with_the_way_to_convert_it(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableError, match=message) as caught:
        check(tmp_path, name, content)
    assert caught.value.kind == "unknown_form"


def test_korquad_2_is_read_where_its_answers_stand_in_the_context(tmp_path: Path) -> None:
    given = {"text": "nine", "answer_start": 20, "html_answer_start": 9, "html_answer_text": "x"}
    qas = [{"id": "a", "question": "When?", "answer": given}]
    data = {"data": [{"title": "t", "context": CONTEXT, "raw_html": "<p>", "qas": qas}]}
    assert answers(check(tmp_path, "t.json", json.dumps(data)).examples) == [NINE]


@pytest.mark.parametrize(
    ("cells", "question"),
    [
        case("R49 a quoted cell", '"What ""bridge""?"', 'What "bridge"?'),
        case("R49 quotes inside a cell", 'What "bridge"?', 'What "bridge"?'),
        case("R49 quotes at both ends that are the text's own", '"A" or "B"', '"A" or "B"'),
        case("R49 a line end in a quoted cell", '"Which\n""one""?"', 'Which\n"one"?'),
        case("R49 a tab in a quoted cell", '"Which\tone?"', "Which\tone?"),
    ],
)
def test_quotes_in_tables_by_tabs_follow_one_rule(
    cells: str, question: str, tmp_path: Path
) -> None:
    head = "id\tcontext\tquestion\tanswer_text\tanswer_start\n"
    checker = check(tmp_path, "t.tsv", f"{head}a\t{CONTEXT}\t{cells}\tnine\t20\n")
    (example,) = checker.examples
    assert example.question == question
    assert len(checker.findings) == (cells != question)


@pytest.mark.parametrize(
    "text",
    [
        case("R48 a call", "__import__('os').system('true')"),
        case("R48 a call as numpy's", "array(print(1))"),
        case("R48 a list multiplied", "['a'] * 10 ** 9"),
        case("R48 a comprehension", "[1 for _ in range(9)]"),
        case("R48 a name", "x"),
        case("R48 a key twice", "{'a': 1, 'a': 2}"),
        case("R48 a key that is no text", "{1: 2}"),
        case("R48 deep", "[" * 9000),
        case("R48 an array that numpy cut", "array([1, ..., 9])"),
    ],
)
def test_a_cell_is_never_run(text: str) -> None:
    with pytest.raises(ValueError, match="not a literal"):
        parse_literal(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        case("R43 neighbours without commas are two", "['nine' 'ten']", ["nine", "ten"]),
        case("R43 numbers without commas", "[20\n 21]", [20, 21]),
        case(
            "R43 an escape and a rare line end",
            "['it\\'s \u2028 so' \"b\"]",
            ["it's \u2028 so", "b"],
        ),
        case("R43 a tuple, a negative number and NaN", "(-1, nan, None)", [-1, None, None]),
        case("R43 numpy's names", "np.array(['a'], dtype='<U1')", ["a"]),
    ],
)
def test_what_python_and_numpy_print_is_read(text: str, value: Any) -> None:
    assert parse_literal(text) == value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        case("Q31 no answers", "t.json", nested()),
        case("Q31 a table without a column for them", "t.csv", f"{HEAD}\n{ROW}\n"),
        case("Q31 misaligned", "t.json", one(answers=[{"text": "x", "answer_start": -9}])),
        case("Q31 of another type", "t.json", one(answers=7, is_impossible="no")),
    ],
)
def test_a_file_to_be_answered_needs_no_answers(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    (example,) = read_questions(tmp_path / name)
    assert (example.id, example.context, example.question) == ("a", CONTEXT, "When?")
    assert example.answers == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        case("Q31 a question without a context", json.dumps([{"id": "a", "question": "q"}]),
             r"1 error in the data .*missing_field.*\n.*/0/context \(question 'a'\): no `context`"),
        case("Q31 no file", None, r"t\.json: cannot be read \(No such file or directory\)"),
    ],
)  # fmt: skip
def test_questions_that_cannot_be_asked_are_named(
    content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "t.json").write_text(content, encoding="utf-8")
    with pytest.raises(RetuneError, match=message):
        read_questions(tmp_path / "t.json")


@pytest.mark.parametrize("is_file", [case("Q32 a file", True), case("Q32 a folder", False)])
def test_what_somebody_else_put_there_is_not_replaced(is_file: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kept = out if is_file else out / "mine.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine", encoding="utf-8")
    with pytest.raises(RetuneError, match=r"(is a file|holds mine\.txt), so it is not replaced"):
        ask_file(tmp_path / "t.json", out)
    assert kept.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        case("Q33 a text beside it", ["--data", "t.json", "who?"], "no TEXT and no --context"),
        case("Q33 a context beside it", ["--data", "t.json", "--context", "c"], "no --context"),
        case("Q33 another task", ["--data", "t.json", "--task", "sentiment"], "--task qa only"),
        case("Q33 a folder alone", ["--out", "x"], "--out is for the answers to --data FILE"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("context", "message"),
    [
        case("Q34 an empty file", "", "--context: the file is empty; name one with the text"),
        case("Q34 blanks", " \n", "--context: the file is empty"),
        case("Q34 none", None, "a question is about a text: give --context FILE"),
    ],
)
def test_a_context_without_a_text_is_called_so(
    context: str | None, message: str, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        asker(Params(root / "params.yaml"), tmp_path, context)


@pytest.mark.parametrize(
    ("words", "kept"),
    [case("Q35 a long question", 200, 12), case("Q35 one that just fits", 12, 12)],
)
def test_where_a_question_is_cut_is_known(words: int, kept: int) -> None:
    windower = Windower(tiny.wordpiece(), TokenizeParams(64, 8, 12, "all", 0.0, 1.0))
    question = " ".join(["the"] * words)
    assert windower.kept_of(f" {question} ") == " ".join(["the"] * kept)
