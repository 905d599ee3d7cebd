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
        ("It holds", "40", "cranes for grain", "number",
         {"how many cranes for grain It holds", "It holds how many cranes for grain"}),
        ("It costs", "$40", "a day", "number", {"how much money a day It costs"}),
        ("rain falls on", "12%", "of all days", "number",
         {"what percentage of all days rain falls on"}),
        ("the economist", "Dale Mortensen", "explained unemployment", "name",
         {"which economist explained unemployment", "who explained unemployment"}),
        ("They moved the football club", "Melbourne United", "", "name",
         {"what football club did They move", "They moved which football club"}),
        ("The traders came from", "Miletus", "to buy grain", "name",
         {"where did The traders come to buy grain", "The traders came from what to buy grain"}),
        ("They signed the", "Yalta", "agreements", "name", {"what agreements They signed"}),
        ("The harbour was", "Genoa", "for years", "name", {"who was The harbour for years"}),
        ("", "Marie Curie", "discovered radium", "name", {"who discovered radium"}),
        ("They introduced", "coastal trade", "in the north", "words",
         {"what kind of trade did They introduce in the north",
          "what did They introduce in the north", "They introduced what in the north"}),
    ],
)  # fmt: skip
def test_words_that_ask(
    before: str, answer: str, behind: str, form: Form, expected: set[str]
) -> None:
    assert questions(before, answer, behind, form) >= expected


def test_the_words_of_the_sentence_are_kept_or_left_out() -> None:
    before, behind = "The old sailors of Varna bought", "there in many years"
    rest = {"old", "sailors", "of", "Varna", "there", "in", "many", "years"}
    for text in questions(before, "grain", behind, "words"):
        assert rest <= set(text.split()) | {"The"}
        assert {"bought", "buy"} & set(text.split())
    lengths = [len(text.split()) for text in questions(before, "grain", behind, "words", 0.9)]
    assert min(lengths) < 5
    assert questions(before, "grain", behind, "words", 1.0) > {"what"}
