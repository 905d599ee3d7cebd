"""The type of an answer, by rules that need no model.

The rules are for English. In other languages digits still show dates and numbers, and capital
letters show names if other nouns have none; the other answers are phrases. The form of a text, what
it looks like, is one of four:

- date: a month, a weekday, a year (1000 to 2099), a decade (1980s), "century", BC or AD in at most
  eight words. May and March need a number beside them. A year with a currency sign or before a
  noun (1500 soldiers) is a number.
- number: a number among the first three of at most eight words, in digits or in letters
- name: all of its words but short function words begin with a capital letter
- words: any other text

The type of an answer is date or number by its form, unless the question asks "how many" or "how
much": then it is a number. Otherwise it is a person if the question asks who, whom or whose. It is
a place if the question asks where, or if the answer is a name and the question asks for a place
(what city, which two islands) or the name has such a noun (River Thames). Any other name is a name.
Other words are a clause from nine words on, or if the first of three or more begins a clause
(because, to, when); otherwise they are a phrase.
"""

import re
from collections.abc import Iterator
from typing import Literal, get_args

Form = Literal["date", "number", "name", "words"]
AnswerType = Literal["date", "number", "person", "place", "name", "phrase", "clause"]
ANSWER_TYPES: tuple[AnswerType, ...] = get_args(AnswerType)
#: Question words, in the order in which tables show them.
QUESTION_WORDS = ("what", "which", "who", "whom", "whose", "when", "where", "why", "how")
#: The group of questions without one.
OTHER = "other"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[^\W_]+(?:['\u2019.,:-][^\W_]+)*%?")
_MONTHS = _words(
    "january february march april may june july august september october november december"
)
_DAYS = _words("monday tuesday wednesday thursday friday saturday sunday")
_DATED = _MONTHS | _DAYS | _words("century centuries bc ad bce ce")
#: Also other words, so that they need a capital letter and a number beside them.
_AMBIGUOUS = _words("may march ad ce")
_YEAR = re.compile(r"(?:1\d|20)\d\d(?:s|-\d{2,4})?")
_CURRENCY = re.compile(r"[$\u00a3\u20ac\u00a5]\s*\d")
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
#: Behind these a year is still a date.
_AFTER_YEAR = _FUNCTION | _DATED | _words("until till through as when after before is was were")
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
    """Return the first question word of an English question, or `other`."""
    words = (re.split("['\u2019]", word)[0] for word in _lower(question))
    return next((word for word in words if word in QUESTION_WORDS), OTHER)


def form(text: str) -> Form:
    """Return what a text looks like."""
    words = _WORD.findall(text)
    is_short, is_money = len(words) < _LONG, _CURRENCY.search(text)
    if is_short and not is_money and any(_is_date(words, place) for place in range(len(words))):
        return "date"
    if is_short and (is_money or any(map(_is_number, words[:3]))):
        return "number"
    content = [word for word in words if word.lower() not in _FUNCTION]
    return "name" if content and all(word[0].isupper() for word in content) else "words"


def answer_type(question: str, answer: str) -> AnswerType:
    """Return the type of the answer to a question."""
    looks, asked = form(answer), _lower(question)
    word = question_word(question)
    if looks in ("date", "number"):
        many = re.search(r"\bhow (?:many|much)\b", question, re.IGNORECASE)
        return "number" if many or looks == "number" else "date"
    if word in ("who", "whom", "whose"):
        return "person"
    words = _lower(answer)
    of_place = not _PLACES.isdisjoint([*_asked_for(asked), *words])
    if word == "where" or (looks == "name" and of_place):
        return "place"
    if looks == "name":
        return "name"
    begins_clause = len(words) > 2 and words[0] in _CLAUSES
    return "clause" if len(words) >= _LONG or begins_clause else "phrase"


def candidates(text: str, looks: Form) -> list[tuple[int, int]]:
    """Return the spans of a text that look like an answer of this form, in characters.

    Of dates and numbers these are words side by side. Of names they are words with capital letters,
    with function words between them. A single word that begins a sentence is a name only if it has
    a capital letter elsewhere, too. Words have no candidates, because any of them may be one.
    """
    if looks == "words":
        return []
    found = [*_WORD.finditer(text)]
    words = [match[0] for match in found]
    inside = [_belongs(words, place, looks) for place in range(len(words))]
    if looks == "name":
        inside = [*_bridged(words, inside)]
    spans: list[tuple[int, int]] = []
    for place, match in enumerate(found):
        if not inside[place]:
            continue
        if place and inside[place - 1] and _is_beside(text, found[place - 1].end(), match.start()):
            spans[-1] = (spans[-1][0], match.end())
        else:
            spans.append(match.span())
    return [*_true_names(text, spans)] if looks == "name" else spans


def _true_names(text: str, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans without single words that have a capital letter because they begin a sentence."""
    inside = {text[low:high] for low, high in spans if not _begins_sentence(text, low)}
    for low, high in spans:
        name = text[low:high]
        if " " in name or name in inside or not _begins_sentence(text, low):
            yield low, high


def _begins_sentence(text: str, place: int) -> bool:
    before = text[max(0, place - 4) : place].rstrip(" \"'(\u201c\u2018")
    return not before or before[-1] in ".!?\n"


def _asked_for(asked: list[str]) -> list[str]:
    """Return the three words behind `what` or `which`."""
    places = [place for place, word in enumerate(asked) if word in ("what", "which")]
    return asked[places[0] + 1 : places[0] + 4] if places else []


def _belongs(words: list[str], place: int, looks: Form) -> bool:
    match looks:
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


def _is_beside(text: str, end: int, start: int) -> bool:
    """Return whether only blanks, hyphens or commas are between two words."""
    return not text[end:start].strip(" ,-\u2013")


def _is_date(words: list[str], place: int) -> bool:
    word = words[place]
    lower = word.lower()
    if _YEAR.fullmatch(word):
        following = words[place + 1 : place + 2]
        return not following or following[0].lower() in _AFTER_YEAR or not following[0].islower()
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
    return any(word[0].isupper() and word.lower() in _MONTHS for word in near)


def _has_digit(words: list[str], place: int) -> bool:
    return 0 <= place < len(words) and any(map(str.isdigit, words[place]))


def _is_number(word: str) -> bool:
    return word[0].isdigit() or any(part in _NUMBERS for part in word.lower().split("-"))


def _lower(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
