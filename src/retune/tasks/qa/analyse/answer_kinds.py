"""What kind of thing an answer is, by rules that need no model.

The rules are for English. In other languages digits and capital letters still tell dates, numbers
and names; other answers are phrases. What a text looks like (`form`) is one of four:

- date: a month, a weekday, a year (1000 to 2099), a decade (1980s), "century", BC or AD in at most
  eight words
- number: a number among the first three of at most eight words, in digits or in letters
- name: all of its words but short function words begin with a capital letter
- words: any other text

The kind of an answer to a question (`answer_kind`) is a date or number by its form, unless the
question asks "how many" or "how much": then it is a number. Otherwise it is a person if the
question asks who, whom or whose; a place if it asks where, or if it is a name and the question
asks for a place (what city, which two islands) or the name has such a noun (River Thames); any
other name is a name. Other words are a clause from nine words on, or if the first of three or more
begins a clause (because, to, when); otherwise they are a phrase.
"""

import re
from collections.abc import Iterator
from typing import Literal, get_args

Form = Literal["date", "number", "name", "words"]
Kind = Literal["date", "number", "person", "place", "name", "phrase", "clause"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Question words, in the order in which tables show them.
QUESTION_WORDS = ("what", "which", "who", "whom", "whose", "when", "where", "why", "how")
#: The group of questions without one.
ANOTHER = "another"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[^\W_]+(?:['\u2019.,:-][^\W_]+)*%?")
_MONTHS = "january february march april may june july august september october november december"
_MONTH_NAMES = _words(_MONTHS)
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_DATED = _words(f"{_MONTHS} {_DAYS} century centuries bc ad bce ce")
#: Also other words, so that they need a capital letter, or a year or day beside them.
_AMBIGUOUS = frozenset({"may", "march", "ad", "ce"})
_YEAR = re.compile(r"(?:1\d|20)\d\d(?:s|[-\u2013/]\d{2,4})?")
_NUMBERS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred hundreds thousand thousands million millions billion billions trillion dozen dozens "
    "half twice once"
)
_FUNCTION = _words(
    "a an the of and or in on at for to by with from de la le von van der den da di du del al el "
    "y et"
)
_CLAUSES = _words(
    "because that to by so when while if since although after before how why where whether as "
    "which who"
)
_PLACES = _words(
    "city town village country nation state county province region district continent capital "
    "river lake sea ocean island islands mountain mountains valley street road avenue square "
    "place location area harbour port airport station stadium building museum university desert "
    "bay coast kingdom empire territory"
)
_LONG = 9  # words, from which on an answer is no date or number, but a clause


def question_word(question: str) -> str:
    """Return the first question word of an English question, or `another`."""
    return next((word for word in _lower(question) if word in QUESTION_WORDS), ANOTHER)


def form(text: str) -> Form:
    """Return what a text looks like."""
    words = _WORD.findall(text)
    if len(words) < _LONG and any(_is_date(words, place) for place in range(len(words))):
        return "date"
    if len(words) < _LONG and any(map(_is_number, words[:3])):
        return "number"
    content = [word for word in words if word.lower() not in _FUNCTION]
    return "name" if content and all(word[0].isupper() for word in content) else "words"


def answer_kind(question: str, answer: str) -> Kind:
    """Return the kind of the answer to a question."""
    found, asked = form(answer), _lower(question)
    word = question_word(question)
    if found in ("date", "number"):
        many = re.search(r"\bhow (?:many|much)\b", question, re.IGNORECASE)
        return "number" if many or found == "number" else "date"
    if word in ("who", "whom", "whose"):
        return "person"
    words = _lower(answer)
    if word == "where" or (
        found == "name" and not _PLACES.isdisjoint([*_asked_for(asked), *words])
    ):
        return "place"
    if found == "name":
        return "name"
    begins_clause = len(words) > 2 and words[0] in _CLAUSES
    return "clause" if len(words) >= _LONG or begins_clause else "phrase"


def candidates(text: str, form: Form) -> list[tuple[int, int]]:
    """Return the spans of a text that look like an answer of this form, in characters.

    Of dates and numbers these are words side by side; of names, words with capital letters, with
    function words between them. A function word that begins a sentence is part of none. Words have
    no candidates, because any of them may be one.
    """
    if form == "words":
        return []
    found = [*_WORD.finditer(text)]
    words = [match[0] for match in found]
    inside = [_belongs(words, place, form) for place in range(len(words))]
    if form == "name":
        inside = [*_bridged(words, inside)]
    spans: list[tuple[int, int]] = []
    for place, match in enumerate(found):
        if not inside[place]:
            continue
        if place and inside[place - 1] and _beside(text, found[place - 1].end(), match.start()):
            spans[-1] = (spans[-1][0], match.end())
        else:
            spans.append(match.span())
    return spans


def _asked_for(asked: list[str]) -> list[str]:
    """Return the three words behind `what` or `which`."""
    places = [place for place, word in enumerate(asked) if word in ("what", "which")]
    return asked[places[0] + 1 : places[0] + 4] if places else []


def _belongs(words: list[str], place: int, form: Form) -> bool:
    match form:
        case "date":
            return _is_date(words, place)
        case "number":
            return _is_number(words[place]) and not _is_date(words, place)
    word = words[place]
    return word[0].isupper() and word.lower() not in _FUNCTION and not _is_date(words, place)


def _bridged(words: list[str], inside: list[bool]) -> Iterator[bool]:
    """Yield which words are part of a name, with function words between two of its words."""
    for place, word in enumerate(words):
        between = 0 < place < len(words) - 1 and inside[place - 1] and inside[place + 1]
        yield inside[place] or (between and word in _FUNCTION)


def _beside(text: str, end: int, start: int) -> bool:
    """Return whether only blanks, hyphens or commas of a date are between two words."""
    return not text[end:start].strip(" ,-\u2013")


def _is_date(words: list[str], place: int) -> bool:
    word = words[place]
    lower = word.lower()
    if _YEAR.fullmatch(word):
        return True
    if lower not in _DATED:
        return _is_day(words, place)
    if lower not in _AMBIGUOUS:
        return True
    return word[0].isupper() and any(_has_digit(words, near) for near in (place - 1, place + 1))


def _is_day(words: list[str], place: int) -> bool:
    """Return whether a word is the day beside a month, as in `4 July` and `July 4th`."""
    if not re.fullmatch(r"\d{1,2}(?:st|nd|rd|th)?", words[place]):
        return False
    near = [words[other] for other in (place - 1, place + 1) if 0 <= other < len(words)]
    return any(word[0].isupper() and word.lower() in _MONTH_NAMES for word in near)


def _has_digit(words: list[str], place: int) -> bool:
    return 0 <= place < len(words) and any(map(str.isdigit, words[place]))


def _is_number(word: str) -> bool:
    return word[0].isdigit() or any(part in _NUMBERS for part in word.lower().split("-"))


def _lower(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
