"""The kinds of perturbations, each with its name and what it does."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from retune.tasks.qa.perturb import both_texts, passages, questions
from retune.tasks.qa.perturb.distractors import with_distractor
from retune.tasks.qa.questions.examples import Example

#: Returns the perturbed question, or None if the kind does not apply to it. The random numbers are
#: all that it may use besides the question, so that it returns the same on every machine.
Perturbation = Callable[[Example, random.Random], Example | None]


class Kind(NamedTuple):
    """A kind of perturbation.

    Attributes:
        name: in tables, and in the ids of perturbed questions.
        meaning: what it does, in one line.
        perturb: perturbs a question.
        keeps_gold: whether the gold answer stays right, so that F1 can be compared.
        keeps_words: whether the words of the passage are spelled in another way, in their order.
    """

    name: str
    meaning: str
    perturb: Perturbation
    keeps_gold: bool = True
    keeps_words: bool = False


def kinds(others: Sequence[Example]) -> list[Kind]:
    """Return all kinds, in the order of tables.

    Args:
        others: a question on each passage that may be joined with another one.
    """
    return [
        Kind(
            "upper case",
            "QUESTION AND PASSAGE IN CAPITALS",
            both_texts.in_upper_case,
            keeps_words=True,
        ),
        Kind(
            "lower case",
            "question and passage in small letters",
            both_texts.in_lower_case,
            keeps_words=True,
        ),
        Kind(
            "mixed case", "eaCh lEtTeR is A capItal wiTh A cHance oF hALf", both_texts.in_mixed_case
        ),
        Kind("leading blanks", "1 to 8 blanks before question and passage", both_texts.with_blanks),
        Kind(
            "punctuation",
            "the question without commas; its question mark is dropped, doubled or set off",
            questions.with_other_punctuation,
        ),
        Kind(
            "question typos",
            "a typing error in one of five words of the question",
            questions.with_typos,
        ),
        Kind(
            "passage typos",
            "a typing error in one of ten words of the passage, none in a gold answer",
            passages.with_typos,
            keeps_words=True,
        ),
        Kind(
            "moved clause",
            "In 1851, which countries were linked? Which city did he live in?",
            questions.with_moved_clause,
        ),
        Kind(
            "negated question",
            "Where wasn't she born? The gold answer is not right any more",
            questions.negated,
            keeps_gold=False,
        ),
        Kind(
            "distractor",
            "behind the passage, a sentence that answers a similar question about another subject",
            with_distractor,
        ),
        Kind(
            "moved paragraph",
            "the second half of the passage before its first half",
            passages.with_moved_paragraph,
        ),
        Kind(
            "joined passages",
            "another passage of the test split before or behind the passage",
            partial(passages.joined, others),
        ),
    ]
