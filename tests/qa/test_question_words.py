"""Made questions ask as people do: the question word fits the answer and the words beside it."""

import random

import pytest

from retune.tasks.qa.analyse.answer_types import Form
from retune.tasks.qa.synthesize.question_words import question_of


def questions(before: str, answer: str, behind: str, form: Form, left_out: float = 0.0) -> set[str]:
    """All questions that 400 seeds give."""
    return {
        " ".join(
            question_of(before.split(), answer, behind.split(), form, left_out, random.Random(seed))
        )
        for seed in range(400)
    }


@pytest.mark.parametrize(
    ("before", "answer", "behind", "form", "expected"),
    [
        ("Greek sailors built it in", "1921", "", "date",
         {"when did Greek sailors build it", "in what year did Greek sailors build it"}),
        ("The war began on", "4 July 1921", "", "date",
         {"when did The war begin", "on what date did The war begin"}),
        ("Traders came in the", "19th century", "with ships", "date",
         {"when did Traders come with ships", "in what century did Traders come with ships"}),
        ("It holds", "40", "cranes for grain", "number",
         {"how many cranes for grain It holds", "It holds how many cranes for grain"}),
        ("It costs", "$40", "a day", "number", {"how much money a day It costs"}),
        ("It lasted", "40 years", "", "number", {"how long It lasted"}),
        ("rain falls on", "12", "percent of all days", "number",
         {"what percentage of all days rain falls on"}),
        ("rain falls on", "12 per cent", "of all days", "number",
         {"what percentage of all days rain falls on"}),
        ("the economist", "Dale Mortensen", "explained unemployment", "name",
         {"which economist explained unemployment", "who explained unemployment"}),
        ("They moved the football club", "Melbourne United", "", "name",
         {"what football club did They move", "They moved which football club"}),
        ("The traders came from", "Miletus", "to buy grain", "name",
         {"where did The traders come to buy grain", "The traders came from what to buy grain"}),
        ("They signed the", "Yalta", "agreements", "name", {"what agreements They signed"}),
        ("", "Marie Curie", "discovered radium", "name", {"who discovered radium"}),
        ("They introduced", "coastal trade", "in the north", "words",
         {"what kind of trade did They introduce in the north",
          "what did They introduce in the north", "They introduced what in the north"}),
        ("He left because", "it was cold", "in the north", "words",
         {"why did He leave in the north"}),
        ("The sailors had bought", "grain", "there", "words",
         {"what had The sailors bought there"}),
        ("The sailors can find", "grain", "there", "words", {"what can The sailors find there"}),
        ("It was found to be", "grain", "", "words", {"what was It found to be"}),
    ],
)  # fmt: skip
def test_words_that_ask(
    before: str, answer: str, behind: str, form: Form, expected: set[str]
) -> None:
    assert questions(before, answer, behind, form) >= expected


@pytest.mark.parametrize(
    ("before", "answer", "behind", "form", "never"),
    [
        ("It covers", "656 square miles", "of land", "number", ["how far", "how long"]),
        ("They earned", "40", "per week", "number", ["percentage"]),
        ("They came in the", "19th century", "", "date", ["on what date", "come in"]),
        ("It fell on a", "Tuesday", "", "date", ["on what date"]),
        ("They wanted to visit", "Rome", "in spring", "name", ["what visit", "which visit"]),
        ("The sailors who described", "Varna", "", "name", ["did", "describe "]),
        ("The sailors had bought", "grain", "there", "words", ["did", "buy"]),
        ("The Rose garden was built by", "hand", "", "words", ["rise", "does", "did"]),
        ("His plays were written in", "Genoa", "", "name", ["does", "did"]),
    ],
)  # fmt: skip
def test_words_that_never_ask(
    before: str, answer: str, behind: str, form: Form, never: list[str]
) -> None:
    found = questions(before, answer, behind, form)
    assert not [text for text in found for words in never if words in text]


def test_the_words_of_the_sentence_are_kept_or_left_out() -> None:
    before, behind = "The old sailors of Varna bought", "there in many years"
    rest = {"old", "sailors", "of", "Varna", "there", "in", "many", "years"}
    for text in questions(before, "grain", behind, "words"):
        assert rest <= {*text.split()}
        assert {"bought", "buy"} & {*text.split()}
    lengths = [len(text.split()) for text in questions(before, "grain", behind, "words", 0.9)]
    assert min(lengths) < 5
    assert questions(before, "grain", behind, "words", 1.0) > {"what"}
