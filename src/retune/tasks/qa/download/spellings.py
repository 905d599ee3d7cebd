"""Find answers in other spellings: case, quotes, blanks, Unicode form, ..."""

import html
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from retune.tasks.qa.download.rewriting import Chain, Rewritten, Step, replacing

ENTITY = r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z]\w{1,31});"
#: Blanks other than a single space.
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


#: What may differ, by name, with the step that normalizes it, in order.
_STEPS: dict[str, Step] = {
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
    """Yield the spans of `context` that equal `text` after normalization, in order."""
    normalized, wanted = _normalized_context(context), _normalized(text)
    place = normalized.text.find(wanted) if wanted else -1
    while place >= 0:
        if span := normalized.span(place, place + len(wanted)):
            yield span
        place = normalized.text.find(wanted, place + 1)


def differences(one: str, other: str) -> list[str]:
    """Name the differences of two spellings of one text."""
    names = [name for name in _STEPS if _normalized(one, name) != _normalized(other, name)]
    return names or ["spelling"]


@lru_cache(maxsize=8)
def _normalized_context(context: str) -> Chain:
    """Normalize and cache a context, because the answers of a passage follow each other."""
    return Chain(context, _STEPS.values())


def _normalized(text: str, left_out: str = "") -> str:
    """Normalize a text by all steps except `left_out`."""
    even = Chain(text, [step for name, step in _STEPS.items() if name != left_out]).text
    # Marks are put in order here; a context keeps its order, because its places count.
    return even if left_out == "Unicode form" else unicodedata.normalize("NFD", even)
