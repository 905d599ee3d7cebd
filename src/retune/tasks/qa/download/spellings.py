"""Answers that stand in a context in another spelling: case, quotes, blanks, Unicode form, ..."""

import html
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from retune.tasks.qa.download.rewriting import Chain, Rewritten, Step, replacing

ENTITY = r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z]\w{1,31});"
#: Blanks that are more, or another, than one space.
BLANKS = r"\s{2,}|[^\S ]"
_INVISIBLE = "[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]"
_DOUBLE = "\u201c-\u201f\u2033\u00ab\u00bb\u300c-\u300f\uff02"
_SINGLE = "\u2018-\u201b\u2032\u2039\u203a`\u00b4\uff07"
_DASH = "[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]"


def _lowered(text: str) -> Rewritten:
    lower = text.lower() if text.isascii() else "".join(map(_lower, text))
    return Rewritten(lower, [0], [0])


def _lower(character: str) -> str:
    """Lower case, one character for one; the two small letters sigma of Greek are one."""
    lower = character.lower()
    return "\u03c3" if lower == "\u03c2" else lower if len(lower) == 1 else character


#: What may differ, by its name, in the order in which it is evened out.
_EVENED: dict[str, Step] = {
    "HTML entities": replacing(ENTITY, html.unescape),
    "invisible characters": replacing(_INVISIBLE, lambda _: ""),
    "single quotes": replacing(f"[{_SINGLE}]", lambda _: "'"),
    "double quotes": replacing(f"[{_DOUBLE}]", lambda _: '"'),
    "dashes": replacing(_DASH, lambda _: "-"),
    "blanks": replacing(BLANKS, lambda _: " "),
    "case": _lowered,
    "Unicode form": replacing("[^\x00-\x7f]", lambda found: unicodedata.normalize("NFD", found)),
}


def spans(context: str, text: str) -> Iterator[tuple[int, int]]:
    """The spans of `context` that are `text` but for what is evened out, in their order."""
    evened, wanted = _evened(context), _even(text)
    place = evened.text.find(wanted) if wanted else -1
    while place >= 0:
        if span := evened.span(place, place + len(wanted)):
            yield span
        place = evened.text.find(wanted, place + 1)


def differences(one: str, other: str) -> list[str]:
    """In what two spellings of one text differ: all that has to be evened out."""
    names = [name for name in _EVENED if _even(one, name) != _even(other, name)]
    return names or ["spelling"]


@lru_cache(maxsize=8)
def _evened(context: str) -> Chain:
    """Kept, because the answers of a passage follow each other."""
    return Chain(context, _EVENED.values())


def _even(text: str, left_out: str = "") -> str:
    """The text with all evened out but what is `left_out`."""
    even = Chain(text, [step for name, step in _EVENED.items() if name != left_out]).text
    # Marks in their order; a context keeps them as they stand, since its places count.
    return even if left_out == "Unicode form" else unicodedata.normalize("NFD", even)
