"""Groups of questions, kinds of mistakes, and the stage that counts them."""

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
from retune.tasks.qa.analyse.answer_kinds import answer_kind, candidates, form
from retune.tasks.qa.analyse.errors import (
    ANSWERED,
    BOUNDS,
    ELSEWHERE,
    ERRORS,
    KIND,
    MISSED,
    NO_WINDOW,
    SENTENCE,
    TOO_LONG,
    UNPLACED,
    error_kind,
    given_answer,
)
from retune.tasks.qa.analyse.groups import Asked, groupings
from retune.tasks.qa.analyse.sentences import sentence_spans, sentences_of
from retune.tasks.qa.questions.examples import UNPLACED as NOWHERE
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.score import ScoreParams

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
    ("question", "answer", "looks", "kind"),
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
    ],
)
def test_kinds_of_answers(question: str, answer: str, looks: str, kind: str) -> None:
    assert (form(answer), answer_kind(question, answer)) == (looks, kind)


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
    spans = [CONTEXT[low:high] for low, high in candidates(CONTEXT, looks)]
    assert [span for span in spans if span != "She"] == found


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


@pytest.mark.parametrize(
    ("asked", "answer", "notes", "kind"),
    [
        (example(None), "London", (), ANSWERED),
        (example("London"), "", (), MISSED),
        (example("London", placed=False), "Ada", (), UNPLACED),
        (example("London"), "Ada", {"answer_in_no_window"}, NO_WINDOW),
        (example("London"), "Ada", {"answer_too_long", "label_widened"}, TOO_LONG),
        (example("London"), "1815 in London", (), BOUNDS),
        (example("London"), "Ada Lovelace", (), SENTENCE),
        (example("London"), "1815", (), SENTENCE),
        (example("London"), "Royal Institution", (), ELSEWHERE),
        (example("London"), "1833", (), KIND),
    ],
)
def test_kinds_of_mistakes(asked: Example, answer: str, notes: Any, kind: str) -> None:
    start = CONTEXT.index(answer) if answer else None
    end = None if start is None else start + len(answer)
    rival = {"text": "engine", "start": 1, "end": 7}
    given = given_answer(answer, [rival, {"text": answer, "start": start, "end": end}])
    assert (given.start, given.end) == (start, end)
    assert error_kind(asked, given, notes) == kind
    assert kind in ERRORS


def test_groups_of_a_question() -> None:
    asked = Asked(example("10 December 1815", "When was Ada Lovelace born?"), 2)
    assert {way.name: way.group(asked) for way in groupings(NORMALIZERS["squad"])} == {
        "question word": "when",
        "answer kind": "date",
        "words of the answer": "2 to 3",
        "words of the context": "0 to 49",
        "windows of the context": "2",
        "place of the answer, in percent of the context": "0 to 24",
        "words of the question in the answer's sentence, in percent": "75 or more",
        "candidates of the same form": "1 to 2",
        "answerable": "yes",
    }


answers = st.one_of(st.none(), st.sampled_from(["London", "7 notes", "because it rained", "1833"]))
questions = st.builds(example, answers, st.text(max_size=20), placed=st.booleans())


@given(questions, st.integers(0, 5), st.sampled_from(sorted(NORMALIZERS)))
def test_each_grouping_has_a_group_for_every_question(
    asked: Example, windows: int, normalizer: str
) -> None:
    for way in groupings(NORMALIZERS[normalizer]):
        assert way.group(Asked(asked, windows)) in way.names


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
        write_json_lines(folder / "test_notes.jsonl", [])
        windows = type("", (), {"example": np.repeat(np.arange(len(rows)), 2)})
        monkeypatch.setattr(stage, "read_windows", lambda _: windows)

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


def test_the_stage_reconciles_groups_and_mistakes_with_all_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, monkeypatch, ROWS)
    assert run() == f"4 of 7 answers are wrong, most often: {KIND} (2)"
    ways: dict[str, list[dict[str, Any]]] = {}
    for row in run.told["groups"]:
        ways.setdefault(row["by"], []).append(row)
    assert {"question word", "answer kind", "answerable"} <= ways.keys()
    assert "windows of the context" not in ways  # all have two
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
        (ELSEWHERE, 1), (KIND, 2), (ANSWERED, 1),
    ]  # fmt: skip
    assert sum(row["percent"] for row in run.told["errors"]) == pytest.approx(400 / 7)
    written = (tmp_path / "out" / "questions.jsonl").read_text().splitlines()
    assert [json.loads(line)["error"] for line in written] == [
        None, None, KIND, ELSEWHERE, KIND, None, ANSWERED,
    ]  # fmt: skip
    assert (
        (tmp_path / "groups.csv").read_text().splitlines()[1].startswith("question word: what,2,")
    )
    assert (tmp_path / "errors.csv").read_text().splitlines()[1] == f"{ELSEWHERE},1"


def test_without_mistakes_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch, ROWS[:2])
    assert run() == "all 2 answers equal a reference"
    assert run.told["errors"] == []


def test_folders_of_other_questions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, monkeypatch, ROWS)
    write_examples(tmp_path / "test.jsonl", [asked for asked, *_ in ROWS[:-1]])
    with pytest.raises(RetuneError, match=r"predictions without a question: What. None; run"):
        run()
