"""Find word boundaries, in scripts with and without blanks between words."""

import re
import unicodedata

from retune.core.unspaced_scripts import UNSPACED

_HANGUL = re.compile("[\uac00-\ud7a3]")
#: A mark between the digits of one number, as in 3.5 and 1,200.
_IN_NUMBER = re.compile(r"\d[.,]\d")
#: Characters without width inside words, as Persian has them: soft hyphen, joiners, word joiner.
_INSIDE, _NEAR = "\u00ad\u200c\u200d\u2060", 8


def is_whole(context: str, start: int, end: int) -> bool:
    """Whether `context[start:end]` neither begins nor ends inside a word.

    In scripts without blanks a word may begin and end at any character. Korean particles may follow
    their word.
    """
    if _joined(context, start):
        return False
    return not _joined(context, end) or bool(end and _HANGUL.match(context, end - 1))


def whole_span(context: str, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of a span, widened to the words at its ends."""
    while _joined(context, start):
        start -= 1
    while _joined(context, end):
        end += 1
    return start, end


def whole_words(context: str, start: int, end: int) -> int:
    """Count the whole words, separated by blanks, in `context[start:end]`."""
    cut = _joined(context, start) + _joined(context, end)
    return len(context[start:end].split()) - cut


def _joined(context: str, place: int) -> bool:
    """Whether the characters before and at `place` belong to one word or number."""
    if not 0 < place < len(context):
        return False
    if unicodedata.category(context[place]).startswith(
        "M"
    ):  # it belongs to the character before it
        return True
    if _IN_NUMBER.search(context, max(place - 2, 0), place + 2):
        return True
    before = context[max(place - _NEAR, 0) : place].rstrip(_INSIDE)
    after = context[place : place + _NEAR].lstrip(_INSIDE)
    return bool(before and after) and _is_spaced(before[-1]) and _is_spaced(after[0])


def _is_spaced(character: str) -> bool:
    """Whether a character belongs to a word, in a script with blanks between words."""
    if UNSPACED.match(character):
        return False
    return character.isalnum() or unicodedata.category(character).startswith("M")
