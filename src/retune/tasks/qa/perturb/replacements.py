"""Other names, numbers and dates for those in a text, of the same kind and from small lists."""

import random
import re
from typing import Literal

from retune.tasks.qa.analyse.answer_types import answer_type, candidates
from retune.tasks.qa.analyse.english import AUXILIARIES, words_of

Of = Literal["man", "woman", "place", "thing"]

_MEN = ("Tobias Renner", "Marcus Hale", "Edgar Lindqvist", "Pavel Novotny", "Simon Okafor")
_WOMEN = ("Clara Weston", "Ingrid Falk", "Leonor Pinto", "Ruth Calder", "Amina Diallo")
_PLACES = ("Coimbra", "Tampere", "Maribor", "Ghent", "Duluth", "Bergen", "Kaunas", "Tacoma")
_THINGS = ("Silver Heron", "Halden Society", "Orchard Prize", "Varna Charter", "Northern Lantern")
#: Answers to questions for something that has no name.
PHRASES = ("a brass lantern", "walnut oil", "a clay pipe", "dried mint", "a wooden spoon")
PLURALS = ("brass lanterns", "grey geese", "clay pipes", "wooden spoons", "woollen hats")
_PEOPLES = (
    *("American", "Arab", "Australian", "Belgian", "British", "Canadian", "Chinese", "Danish"),
    *("Dutch", "Egyptian", "English", "French", "German", "Greek", "Indian", "Irish", "Italian"),
    *("Japanese", "Mexican", "Norwegian", "Persian", "Polish", "Portuguese", "Roman", "Russian"),
    *("Scottish", "Spanish", "Swedish", "Swiss", "Turkish", "Welsh"),
)
_NATIONS = frozenset(
    {
        *_PEOPLES,
        *("African", "Asian", "Austrian", "Brazilian", "Colombian", "Czech", "European", "Finnish"),
        *("Hungarian", "Islamic", "Israeli", "Jewish", "Korean", "Norman", "Ottoman", "Prussian"),
        *("Saxon", "Ukrainian", "Vietnamese"),
    }
)
_PLACE_WORDS = words_of("Park Hall House Bay Tower Bridge Castle Abbey Cape County Fort")
#: "the king of Cebu", but "the fate of Quesada"
_OF_PLACE = words_of("king queen ruler president capital coast people city emperor")
#: Of each pair one word replaces the other.
_PAIRS = (
    ("brother", "sister"), ("brothers", "sisters"), ("father", "mother"), ("son", "daughter"),
    ("sons", "daughters"), ("husband", "wife"), ("king", "queen"), ("boy", "girl"),
    ("man", "woman"), ("men", "women"), ("male", "female"), ("uncle", "aunt"),
    ("north", "south"), ("east", "west"), ("northern", "southern"), ("eastern", "western"),
    ("first", "last"), ("oldest", "youngest"), ("earliest", "latest"), ("largest", "smallest"),
    ("biggest", "smallest"), ("longest", "shortest"), ("highest", "lowest"),
    ("summer", "winter"), ("morning", "evening"), ("day", "night"),
    ("city", "village"), ("town", "village"), ("island", "peninsula"),
    ("river", "lake"), ("ship", "train"), ("vessel", "carriage"),
    ("newspaper", "novel"), ("church", "theatre"), ("school", "prison"),
    ("hospital", "hotel"), ("bridge", "tunnel"), ("company", "club"), ("painter", "sculptor"),
    ("composer", "sculptor"), ("song", "poem"), ("book", "film"), ("gold", "copper"),
    ("animal", "plant"), ("bird", "fish"), ("black", "white"),
    ("victory", "defeat"), ("birth", "death"), ("winner", "loser"), ("team", "choir"),
)  # fmt: skip
_OTHERS = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_UNITS = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("fifteen", "sixteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# A month needs its capital: may and march are other words.
_MARKED = re.compile(
    rf"\d+|\b(?:{'|'.join(_MONTHS)})\b"
    rf"|(?i:\b(?:(?:{'|'.join(_TENS)})-)?(?:one|{'|'.join([*_UNITS, *_TENS])})\b)"
)
_ACTING = re.compile(rf"\b({'|'.join(sorted(AUXILIARIES))}) (he|she)\b")
_TO_PLACE = words_of("in at to from near into across through outside around")


def pick(draw: random.Random, options: tuple[str, ...], avoided: str = "") -> str:
    """Return one of the options, if possible one whose last word a text does not contain."""
    known = avoided.casefold()
    free = [option for option in options if option.casefold().split()[-1] not in known]
    return (free or options)[int(draw.random() * len(free or options))]


def fake_name(draw: random.Random, of: Of, avoided: str) -> str:
    """Return a name that a text does not contain."""
    lists = {"man": _MEN, "woman": _WOMEN, "place": _PLACES, "thing": _THINGS}
    return pick(draw, lists[of], avoided)


def renumbered(text: str, draw: random.Random) -> str:
    """Return a text in which each number and month is another one of the same form."""
    return _MARKED.sub(lambda match: _other(match[0], draw), text)


def changed(question: str, draw: random.Random, avoided: str) -> str | None:
    """Return a question about another subject; None if the rules find nothing to replace.

    Names, nations, numbers and months are replaced, and he or she as the one who acts. If there
    are none, common words are, by pairs such as first and last. The replacements are not in the
    text `avoided`.
    """
    text = question[:1].lower() + question[1:]  # so that the first word is no name
    if re.search(r" (?:The|A|An) ", text):  # begins a title, whose end is not known
        return None
    text = _ACTING.sub(
        lambda match: (
            f"{match[1]} {fake_name(draw, 'man' if match[2] == 'he' else 'woman', avoided)}"
        ),
        renumbered(_renamed(text, draw, avoided), draw),
    )
    if text[1:] == question[1:]:
        text = re.sub(r"\w+", lambda match: _OTHERS.get(match[0], match[0]), text)
    return text if text[1:] != question[1:] else None


def _renamed(text: str, draw: random.Random, avoided: str) -> str:
    known: dict[str, str] = {}
    for low, high in reversed(candidates(text, "name")):
        name = text[low:high]
        ending = next((end for end in ("'s", "\u2019s") if name.endswith(end)), "")
        bare = name.removesuffix(ending)
        if bare not in known:
            known[bare] = _other_name(bare, text[:low].split(), draw, avoided)
        text = text[:low] + known[bare] + ending + text[high:]
    return text


def _other_name(name: str, before: list[str], draw: random.Random, avoided: str) -> str:
    first, *rest = name.split()
    preceding = before[-1] if before else ""
    if first in _NATIONS:
        return " ".join([_other_nation(first, preceding, draw, avoided), *rest])
    if not rest and name.lower() in _OTHERS:  # the East
        return _OTHERS[name.lower()].capitalize()
    if preceding == "the":
        return fake_name(draw, "thing", avoided)
    is_ruled = preceding == "of" and before[-2:-1] and before[-2] in _OF_PLACE
    is_named_so = answer_type("What?", name) == "place" or not _PLACE_WORDS.isdisjoint(rest)
    if preceding in _TO_PLACE or is_ruled or is_named_so:
        return fake_name(draw, "place", avoided)
    other = fake_name(draw, "man" if draw.random() < 0.5 else "woman", avoided)
    return other if rest else other.split()[-1]


def _other_nation(nation: str, preceding: str, draw: random.Random, avoided: str) -> str:
    """Return another nation; behind `a` and `an` one that this article fits, too."""
    has_article = preceding in ("a", "an")
    fitting = (
        each
        for each in _PEOPLES
        if not has_article or (each[0] in "AEIOU") == (nation[0] in "AEIOU")
    )
    return pick(draw, tuple(fitting), f"{avoided} {nation}")


def _other(marked: str, draw: random.Random) -> str:
    if marked.isdigit():
        return _other_number(marked, draw)
    if (month := marked.capitalize()) in _MONTHS:
        return pick(draw, tuple(each for each in _MONTHS if each != month))
    tens, _, unit = marked.lower().rpartition("-")
    other = pick(draw, tuple(e for e in (_TENS if unit in _TENS else _UNITS) if e != unit))
    if tens:
        other = f"{pick(draw, _TENS)}-{pick(draw, _UNITS[:8], unit)}"
    return other.capitalize() if marked[0].isupper() else other


def _other_number(digits: str, draw: random.Random) -> str:
    """Return a number with as many digits; a year is at most 40 years away."""
    number = int(digits)
    if 1000 <= number < 2100:
        by = 3 + int(draw.random() * 38)
        return str(number - by if number - by >= 1000 else number + by)
    least = 10 ** (len(digits) - 1) if len(digits) > 1 else 2
    most = 28 if len(digits) == 2 and number <= 31 else 10 ** len(digits) - 1  # a day of a month
    other = least + int(draw.random() * (most - least))
    return str(other + (other >= number)).zfill(len(digits))
