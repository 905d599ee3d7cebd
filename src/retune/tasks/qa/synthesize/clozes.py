"""Questions made from sentences: a question word stands for a phrase, and some words are left out.

Two kinds, after three papers:

- cloze: the sentence of the answer stays in its passage, so that the question is like it but for
  the words that were left out or moved (the noised clozes of Lewis et al. 2019, section 2.1.3).
- recurring: the answer occurs in another sentence, too. The sentence that became the question
  leaves the passage, so that the answer must be found by what is said elsewhere (Dhingra et al.
  2018, section 3; the recurring spans of Ram et al. 2021, section 3.1).
"""

import random
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from typing import Literal, NamedTuple

from retune.tasks.qa.analyse.answer_types import Form
from retune.tasks.qa.analyse.sentences import sentence_spans
from retune.tasks.qa.synthesize.phrases import WORD, Phrase, answer_phrases
from retune.tasks.qa.synthesize.question_words import one_of, question_of

Kind = Literal["cloze", "recurring"]
KINDS: tuple[Kind, ...] = ("cloze", "recurring")

#: How much more often a phrase of a form is asked for: people ask for dates, numbers and names more
#: often than texts have them.
_WEIGHTS: dict[Form, int] = {"date": 6, "number": 4, "name": 4, "words": 1}
_WORDS = range(6, 71)  # of a sentence
_LEAST = 3  # words of a question besides the question word
_MOST = 30  # words of a question
#: The chance that the whole sentence becomes the question and not a clause.
_WHOLE = 0.35
#: Words in front of and behind an answer that a clause has at least, if the sentence has them.
_BEFORE, _BEHIND = 4, 5
_CLAUSE_END = re.compile(
    r'[;()"\u2014\u201c\u201d\u060c\u061b\u3001\u3002\uff0c\uff1b\uff1a\uff08\uff09]|[,:](?!\d)|\u2013(?=\s)'
)


class Made(NamedTuple):
    """A question that was made.

    Attributes:
        context: the passage, without the sentence if the kind is recurring.
        question: its text.
        answer: its text.
        start: of the answer in the context.
        kind: see above.
        form: of the answer.
    """

    context: str
    question: str
    answer: str
    start: int
    kind: Kind
    form: Form


def clozes(
    passage: str, most: int, recurring: float, left_out: float, draw: random.Random
) -> Iterator[Made]:
    """Yield at most `most` questions about a passage, each with another answer.

    Args:
        passage: the text.
        most: questions.
        recurring: the chance that a phrase that occurs in two sentences becomes a question of
            that kind.
        left_out: the chance that a function word of the sentence is not in the question.
        draw: random numbers.
    """
    asked: set[str] = set()
    used: Counter[tuple[int, int]] = Counter()
    for phrase, sentence in _in_random_order(passage, draw):
        answer = passage[phrase.start : phrase.end]
        if answer in asked or used[sentence] > most // 3:
            continue
        question = _question(passage, sentence, phrase, left_out, draw)
        if question and answer.lower() not in question.lower():
            yield _made(passage, sentence, phrase, question, recurring, draw)
            asked.add(answer)
            used[sentence] += 1
        if len(asked) == most:
            return


def _in_random_order(passage: str, draw: random.Random) -> list[tuple[Phrase, tuple[int, int]]]:
    """Return the phrases of a passage with their sentences, heavier ones earlier on average.

    The largest of w random numbers is distributed as the w-th root of one, by which Efraimidis &
    Spirakis (2006) sort; unlike a root, it is the same on every processor.
    """
    sentences = sentence_spans(passage)
    fitting = {span for span in sentences if _count(passage[slice(*span)]) in _WORDS}
    found = []
    for phrase in answer_phrases(passage):
        sentence = sentences[bisect_right(sentences, phrase.start, key=itemgetter(0)) - 1]
        if sentence in fitting and phrase.end <= sentence[1]:
            found.append((phrase, sentence))
    return sorted(
        found, key=lambda pair: -max(draw.random() for _ in range(_WEIGHTS[pair[0].form]))
    )


def _made(
    passage: str, sentence: tuple[int, int], phrase: Phrase, question: str, recurring: float,
    draw: random.Random,
) -> Made:  # fmt: skip
    """Return the question with its passage, in which the answer may be elsewhere."""
    answer = passage[phrase.start : phrase.end]
    places = _elsewhere(passage, answer, sentence)
    if not places or draw.random() >= recurring:
        return Made(passage, question, answer, phrase.start, "cloze", phrase.form)
    low, high = sentence
    start = one_of(places, draw)
    start -= 0 if start < low else high - low
    rest = passage[:low] + passage[high:]
    return Made(rest, question, answer, start, "recurring", phrase.form)


def _elsewhere(passage: str, answer: str, sentence: tuple[int, int]) -> list[int]:
    """Return where the answer begins outside of the sentence, as whole words."""
    whole = re.compile(rf"(?<![\w.,\u2013-]){re.escape(answer)}(?![\w\u2013-]|[.,]\d)")
    low, high = sentence
    return [m.start() for m in whole.finditer(passage) if not low <= m.start() < high]


def _question(
    passage: str, sentence: tuple[int, int], phrase: Phrase, left_out: float, draw: random.Random
) -> str | None:
    """Return a question for a phrase; None if it has too few or too many words."""
    low, high = sentence if draw.random() < _WHOLE else _clause(passage, sentence, phrase)
    before, behind = passage[low : phrase.start], passage[phrase.end : high]
    answer = passage[phrase.start : phrase.end]
    words = question_of(
        WORD.findall(before), answer, WORD.findall(behind), phrase.form, left_out, draw
    )
    return f"{' '.join(words)}?" if _LEAST < len(words) <= _MOST else None


def _clause(passage: str, sentence: tuple[int, int], phrase: Phrase) -> tuple[int, int]:
    """Return the part of a sentence between the punctuation around a phrase, not too short."""
    low, high = sentence
    ends = [m.start() for m in _CLAUSE_END.finditer(passage, low, high)]
    before = [end + 1 for end in ends if end < phrase.start]
    first = next((b for b in reversed(before) if _count(passage[b : phrase.start]) >= _BEFORE), low)
    behind = [end for end in ends if end >= phrase.end]
    in_front = _count(passage[first : phrase.start]) > _BEHIND
    last = next((e for e in behind if in_front or _count(passage[phrase.end : e]) >= _BEHIND), high)
    return first, last


def _count(text: str) -> int:
    return len(WORD.findall(text))
