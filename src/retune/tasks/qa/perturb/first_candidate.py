"""A baseline: the reader that always answers with the first candidate of the expected type."""

import re

from retune.tasks.qa.analyse.answer_types import Form, candidates, question_word

_OF_TIME = re.compile(
    r"\b(?:what|which) (?:\w+ )?(?:year|date|day|month|century|decade|season)s?\b", re.IGNORECASE
)
_OF_NUMBER = re.compile(
    r"\bhow (?:many|much|old|long|far|large|big|high|tall|deep|fast|wide|often)\b", re.IGNORECASE
)
_WORDS = 3  # of the passage, if there is no candidate


def expected_form(question: str) -> Form:
    """Return the form of the answer that a question asks for.

    It is a date for when and what year, a number for how many and how long, words for why and any
    other how, and otherwise a name.
    """
    word = question_word(question)
    if word == "when" or _OF_TIME.search(question):
        return "date"
    if _OF_NUMBER.search(question):
        return "number"
    return "words" if word in ("why", "how") else "name"


def first_candidate(question: str, passage: str) -> tuple[int, int]:
    """Return the first span of the expected form in a passage.

    If there is none, return the first name. If there is no name, or words are expected, return the
    first three words.
    """
    form = expected_form(question)
    for looks in (form, "name") if form != "words" else ():
        for span in candidates(passage, looks):
            return span
    words = [match.span() for match in re.finditer(r"\S+", passage)][:_WORDS]
    return (words[0][0], words[-1][1]) if words else (0, 0)
