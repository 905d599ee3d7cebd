"""A sentence that answers a similar question, after AddSent (Jia and Liang 2017).

AddSent has a question changed and an answer made up by rules, and people correct the sentence that
another parser makes of both. Here rules make the sentence, so that many questions have none.
"""

import random
import re
from dataclasses import replace

from retune.tasks.qa.analyse.answer_types import AnswerType, answer_type
from retune.tasks.qa.perturb.replacements import (
    PHRASES,
    PLURALS,
    changed,
    fake_name,
    pick,
    renumbered,
)
from retune.tasks.qa.perturb.statements import statement
from retune.tasks.qa.questions.examples import Example

#: Asks for a person by a noun: Which French writer, which member of the club.
_PERSON = re.compile(
    r"\b(?:what|which) (?:\w+ ){0,2}?(?:actor|actress|artist|author|bishop|composer|diplomat"
    r"|emperor|engineer|expert|explorer|general|graduate|historian|inventor|king|lady|leader|member"
    r"|monarch|officer|painter|person|philosopher|player|poet|politician|pope|president|prince|princess"
    r"|queen|ruler|singer|student|suitor|Swede|teacher|woman|worker|writer|\w+(?:ist|man))\b",
    re.IGNORECASE,
)
#: The first group are nouns for women, the others nouns for men.
_GENDER = re.compile(r"(actress|lady|princess|queen|woman)|(?:emperor|king|pope|prince|\w*man)$")


def with_distractor(example: Example, draw: random.Random) -> Example | None:
    """Put a sentence behind the passage that resembles the question and does not answer it.

    Names and numbers of the question are replaced by others, and the answer by a made-up one of
    its type. None if the rules make no sentence, or if it has a gold answer.
    """
    sentence = distractor(example, draw)
    if sentence is None or any(_holds(sentence, answer.text) for answer in example.answers):
        return None
    context = example.context.rstrip()
    if any(high > len(context) for _, high in example.spans):
        return None
    return replace(example, context=f"{context} {sentence}")


def distractor(example: Example, draw: random.Random) -> str | None:
    """Return the sentence; None if the rules make none."""
    if not example.answers:
        return None
    known = f"{example.context} {example.question}"
    question = changed(example.question.strip(), draw, known)
    answer = _made_up(example, draw, f"{known} {question}")
    if question is None or answer is None:
        return None
    sentence = statement(question, answer)
    # The change may be in words that the statement leaves out: then it answers the question.
    return sentence if sentence != statement(example.question, answer) else None


def _made_up(example: Example, draw: random.Random, known: str) -> str | None:
    """Return a wrong answer of the type of the first gold answer; None for clauses.

    With are or were it has two names, or a plural.
    """
    question, gold = example.question, example.answers[0].text
    is_plural = re.search(r"\b(?:are|were)\b", question) is not None
    of = answer_type(question, gold)
    if re.search(r"\b(?:how|years?|century|age)\b", question, re.IGNORECASE) or of in (
        "date", "number",
    ):  # fmt: skip
        other = renumbered(gold, draw)
        return other if other != gold else None
    if of == "phrase":
        return pick(draw, PLURALS if is_plural else PHRASES, known)
    if of == "clause":
        return None
    names: list[str] = []
    for _ in range(2 if is_plural else 1):
        names.append(_name(question, of, draw, " ".join([known, *names])))
    return " and ".join(names)


def _name(question: str, of: AnswerType, draw: random.Random, known: str) -> str:
    asked = _PERSON.search(question)
    if of == "person" or asked:
        is_woman = draw.random() < 0.5
        if asked and (gender := _GENDER.search(asked[0])):
            is_woman = gender[1] is not None
        return fake_name(draw, "woman" if is_woman else "man", known)
    if of == "place":
        return fake_name(draw, "place", known)
    return f"the {fake_name(draw, 'thing', known)}"


def _holds(sentence: str, answer: str) -> bool:
    return answer.strip().casefold() in sentence.casefold()
