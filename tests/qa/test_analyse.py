"""Groups of questions, types of errors, and the stage that counts them."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.core.files import write_json, write_json_lines
from retune.tasks.qa.analyse import analyse as stage
from retune.tasks.qa.analyse.answer_types import (
    AnswerType,
    answer_type,
    candidates,
    form,
    question_word,
)
from retune.tasks.qa.analyse.errors import (
    ANSWERED,
    BOUNDARIES,
    ERRORS,
    MISSED,
    NO_WINDOW,
    SENTENCE,
    SPAN,
    TOO_LONG,
    TYPE,
    UNPLACED,
    Prediction,
    error_type,
    predicted,
)
from retune.tasks.qa.analyse.groups import Item, groupings
from retune.tasks.qa.analyse.sentences import sentence_spans, sentences_of
from retune.tasks.qa.questions.examples import UNPLACED as NOWHERE
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.windows.features import window_writer
from retune.tasks.qa.windows.windows import Features

CONTEXT = (
    "Ada Lovelace was born on 10 December 1815 in London. She wrote 7 notes about the engine, "
    "because it rained. Charles Babbage had built it in the Royal Institution in 1833."
)


def example(answer: str | None, question: str = "What?", *, placed: bool = True) -> Example:
    answers: tuple[Answer, ...] = ()
    if answer is not None:
        answers = (Answer(answer, CONTEXT.index(answer) if placed else NOWHERE),)
    return Example(f"{question} {answer}", "", CONTEXT, question, answers)


@pytest.mark.parametrize(
    ("question", "answer", "looks", "of_type"),
    [
        ("When was it built?", "1912", "date", "date"),
        ("When?", "in May 1912", "date", "date"),
        ("When?", "4 July", "date", "date"),
        ("When?", "the late 19th century", "date", "date"),
        ("When?", "the 1980s", "date", "date"),
        ("How many people?", "2000", "date", "number"),
        ("How many?", "about twelve", "number", "number"),
        ("What was the share?", "8.4%", "number", "number"),
        ("How long?", "three and a half metres", "number", "number"),
        ("Who built it?", "Ada Lovelace", "name", "person"),
        ("Who built it?", "her friends", "words", "person"),
        ("What city is it in?", "Berlin", "name", "place"),
        ("Which two islands?", "Cyprus and Crete", "name", "place"),
        ("What runs through it?", "River Thames", "name", "place"),
        ("Where?", "in the attic", "words", "place"),
        ("What did they sign in the city?", "the Treaty of Versailles", "name", "name"),
        ("What may it do?", "may march on", "words", "phrase"),
        ("What?", "red paint", "words", "phrase"),
        ("Why?", "because it rained", "words", "clause"),
        ("Why?", "it had rained for a week without an end in 1912", "words", "clause"),
        ("什么?", "一台机器", "words", "phrase"),
        ("How much?", "$2000", "number", "number"),
        ("What was sent?", "1500 soldiers", "number", "number"),
        ("When?", "1815 until 1833", "date", "date"),
        ("Who's that?", "a friend", "words", "person"),
        ("When?", "May", "name", "name"),
    ],
)
def test_answer_types(question: str, answer: str, looks: str, of_type: AnswerType) -> None:
    assert (form(answer), answer_type(question, answer)) == (looks, of_type)


def test_the_question_word_is_the_first_one_without_its_ending() -> None:
    assert question_word("In which year, and where?") == "which"
    assert question_word("Who\u2019s he, and what's that?") == "who"
    assert question_word("Name it.") == "other"


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ("date", ["10 December 1815", "1833"]),
        ("number", ["7"]),
        ("name", ["Ada Lovelace", "London", "Charles Babbage", "Royal Institution"]),
        ("words", []),
    ],
)
def test_candidates_of_a_form(looks: Any, found: list[str]) -> None:
    assert [CONTEXT[low:high] for low, high in candidates(CONTEXT, looks)] == found


def test_a_word_that_begins_a_sentence_is_a_name_only_if_it_is_one_elsewhere() -> None:
    text = "London is big. She likes London. After that, Bo left. “Then,” he said."
    assert [text[low:high] for low, high in candidates(text, "name")] == ["London", "London", "Bo"]


@given(st.text(max_size=80))
def test_candidates_are_spans_in_their_order_and_look_like_their_form(text: str) -> None:
    for looks in ("date", "number", "name"):
        spans = candidates(text, looks)
        assert all(low < high for low, high in spans)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


@given(st.text(alphabet=st.sampled_from('aA. !?\n。”"Dr1'), max_size=60))
def test_sentences_cover_the_text(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join(text[low:high] for low, high in spans) == text
    assert all(low < high for low, high in spans) or not text


def test_sentences_end_at_punctuation_but_not_behind_titles_and_initials() -> None:
    text = (
        'Mr. Smith came at 5 p.m. on Monday! "Why?" he asked. J. R. Tolkien wrote.\nNew. 这是。那是'
    )
    assert [text[low:high].strip() for low, high in sentence_spans(text)] == [
        "Mr. Smith came at 5 p.m. on Monday!", '"Why?" he asked.', "J. R. Tolkien wrote.", "New.",
        "这是。", "那是",
    ]  # fmt: skip
    assert sentences_of([(0, 5), (5, 9)], 4, 6) == {0, 1}
    assert sentences_of([(0, 5), (5, 9)], 5, 6) == {1}


WHOLE = [(0, len(CONTEXT))]


@pytest.mark.parametrize(
    ("asked", "answer", "windows", "error"),
    [
        (example(None), "London", WHOLE, ANSWERED),
        (example("London"), "", WHOLE, MISSED),
        (example("London", placed=False), "Ada", WHOLE, UNPLACED),
        (example("London"), "Charles", [(0, 50), (48, 90)], NO_WINDOW),
        (example("London"), "1815 in London", [(0, 50)], BOUNDARIES),
        (example("London"), "1815 in London", WHOLE, BOUNDARIES),
        (example("London"), "Ada Lovelace", WHOLE, SPAN),
        (example("London"), "1815", WHOLE, SPAN),
        (example("London"), "Royal Institution", WHOLE, SENTENCE),
        (example("London"), "1833", WHOLE, TYPE),
    ],
)
def test_types_of_errors(asked: Example, answer: str, windows: Any, error: str) -> None:
    start = CONTEXT.index(answer) if answer else None
    end = None if start is None else start + len(answer)
    rival = {"text": "engine", "start": 1, "end": 7}
    prediction = predicted(answer, [rival, {"text": answer, "start": start, "end": end}])
    assert prediction.span == (None if start is None else (start, end))
    assert error_type(asked, prediction, windows, is_too_long=False) == error
    assert error in ERRORS


def test_an_answer_that_may_not_be_given_is_too_long() -> None:
    far = Prediction("Royal", (CONTEXT.index("Royal"), CONTEXT.index("Royal") + 5))
    assert error_type(example("London"), far, WHOLE, is_too_long=True) == TOO_LONG


def test_one_gold_answer_in_a_window_is_enough() -> None:
    asked = example("London")
    cut = Answer("born on 10 December", CONTEXT.index("born"))
    both = Example("b", "", CONTEXT, "What?", (cut, *asked.answers))
    wrong = Prediction("Ada", (0, 3))
    window = [(20, 60)]
    assert error_type(both, wrong, window, is_too_long=False) == SPAN
    assert error_type(both, wrong, [(20, 40)], is_too_long=False) == NO_WINDOW


def test_without_candidates_an_answer_has_no_place() -> None:
    assert predicted("Ada", []) == Prediction("Ada", None)
    null = {"text": "", "start": None, "end": None}
    assert predicted("", [null]) == Prediction("", None)


def test_groups_of_a_question() -> None:
    item = Item(example("10 December 1815", "When was Ada Lovelace born?"), 2)
    assert {way.name: way.group(item) for way in groupings(NORMALIZERS["squad"])} == {
        "question word": "when",
        "answer type": "date",
        "answer length": "2 to 3",
        "passage length": "0 to 49",
        "windows": "2",
        "answer position": "0 to 24 %",
        "question overlap": "75 or more %",
        "distractors": "1 to 2",
        "answerable": "yes",
    }


def test_other_mentions_of_the_gold_answer_are_no_distractors() -> None:
    text = "London is big. She likes London, and Bo likes Rome. Rome is old."
    asked = Example("a", "", text, "What?", (Answer("London", 0),))
    way = next(w for w in groupings(NORMALIZERS["squad"]) if w.name == "distractors")
    assert way.group(Item(asked, 1)) == "1 to 2"  # Bo and Rome


answers = st.one_of(st.none(), st.sampled_from(["London", "7 notes", "because it rained", "1833"]))
questions = st.builds(example, answers, st.text(max_size=20), placed=st.booleans())


@given(questions, st.integers(0, 5), st.sampled_from(sorted(NORMALIZERS)))
def test_each_grouping_has_a_group_for_every_question(
    asked: Example, windows: int, normalizer: str
) -> None:
    for way in groupings(NORMALIZERS[normalizer]):
        assert way.group(Item(asked, windows)) in way.names


class Run:
    """The folders that the stage reads, of questions and their answers."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        rows: Sequence[tuple[Example, str]],
    ) -> None:
        self.folder = folder
        write_examples(folder / "test.jsonl", [asked for asked, *_ in rows])
        write_json(folder / "predictions.json", {asked.id: text for asked, text in rows})
        lines = []
        for asked, text in rows:
            start = CONTEXT.find(text) if text else None
            end = None if start is None else start + len(text)
            one = {"text": text, "start": start, "end": end}
            lines.append({"id": asked.id, "candidates": [one]})
        write_json_lines(folder / "nbest.jsonl", lines)
        write_json(folder / "report.json", {"too_long": []})
        monkeypatch.setattr(stage, "passage_spans", lambda *_: [[(0, 1000)] * 2 for _ in rows])

    def __call__(self, normalizer: Any = "squad") -> str:
        f = self.folder
        written = (f / name for name in ("a.json", "groups.csv", "errors.csv", "out"))
        return stage.analyse(f, f, f, *written, ScoreParams(normalizer), squad_v2=True)

    @property
    def told(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.folder / "a.json").read_text())["qa"]
        return values


#: Two passages, one of which has two questions.
OTHER = "London is a city. The Thames runs through it."
ROWS = [
    (example("London", "Where?"), "London"),
    (example("1833", "When?"), "1833"),
    (example("7", "How many?"), "1833"),
    (example("Ada Lovelace", "Who?"), "Charles Babbage"),
    (Example("a", "", OTHER, "What runs through it?", (Answer("Thames", 22),)), "city"),
    (Example("b", "", OTHER, "Whom?", ()), ""),
    (example(None), "London"),
]


def test_the_stage_reconciles_groups_and_errors_with_all_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, monkeypatch, ROWS)
    assert run() == f"4 of 7 answers are wrong, most often: {TYPE} (2)"
    ways: dict[str, list[dict[str, Any]]] = {}
    for row in run.told["groups"]:
        ways.setdefault(row["by"], []).append(row)
    assert {"question word", "answer type", "answerable"} <= ways.keys()
    assert "windows" not in ways  # all have two
    for rows in ways.values():
        assert sum(row["questions"] for row in rows) == 7
        right = sum(row["questions"] * row["exact_match"] / 100 for row in rows)
        assert right == pytest.approx(3)
    yes, no = ways["answerable"]
    assert (yes["group"], yes["questions"], yes["passages"]) == ("yes", 5, 2)
    assert yes["f1"] == 40.0
    assert yes["f1_low"] <= 40.0 <= yes["f1_high"]
    assert (no["questions"], no["passages"], no["f1"]) == (2, 2, 50.0)
    when = next(row for row in ways["question word"] if row["group"] == "when")
    assert (when["f1"], when["f1_low"], when["f1_high"]) == (100.0, None, None)  # of one passage
    assert [(row["error"], row["questions"]) for row in run.told["errors"]] == [
        (SENTENCE, 1), (TYPE, 2), (ANSWERED, 1),
    ]  # fmt: skip
    assert sum(row["percent"] for row in run.told["errors"]) == pytest.approx(400 / 7)
    written = (tmp_path / "out" / "questions.jsonl").read_text().splitlines()
    assert [json.loads(line)["error"] for line in written] == [
        None, None, TYPE, SENTENCE, TYPE, None, ANSWERED,
    ]  # fmt: skip
    assert (
        (tmp_path / "groups.csv").read_text().splitlines()[1].startswith("question word: what,2,")
    )
    assert (tmp_path / "errors.csv").read_text().splitlines()[1] == f"{SENTENCE},1"


def test_without_errors_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch, ROWS[:2])
    assert run() == "all 2 answers equal a gold answer"
    assert run.told["errors"] == []


def test_folders_of_other_questions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, monkeypatch, ROWS)
    write_examples(tmp_path / "test.jsonl", [asked for asked, *_ in ROWS[:-1]])
    with pytest.raises(RetuneError, match=r"predictions without a question: What. None; run"):
        run()


def test_the_passage_of_each_window_is_read_from_its_file(tmp_path: Path) -> None:
    with window_writer(tmp_path / "test.arrow") as writer:
        writer.write(
            Features(
                example=np.array([0, 0, 1]),
                lengths=np.array([4, 4, 3], np.int32),
                cls=np.zeros(3, np.int32),
                context_start=np.array([1, 1, 2], np.int32),
                context_end=np.array([3, 3, 2], np.int32),  # the last one has no text
                char_start=np.array([0, 5, 9, 0, 0, 9, 14, 0, 0, 0, 0], np.int32),
                char_end=np.array([0, 8, 13, 0, 0, 13, 20, 0, 0, 0, 0], np.int32),
                input_ids=np.zeros(11, np.int32),
                token_type_ids=np.zeros(11, np.int32),
                start_position=np.zeros(3, np.int32),
                end_position=np.zeros(3, np.int32),
            )
        )
    spans = stage.passage_spans(tmp_path / "test.arrow", 2)
    assert spans == [[(5, 13), (9, 20)], [(0, 0)]]
