"""Split a text into the words that ROUGE compares.

`rouge_score` is the tokenizer of the package rouge-score: runs of English letters and digits. It
finds nothing in another script. `unicode` finds the words of every script. On ASCII texts both
give the same words, so that scores of English texts are comparable.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from retune.core.unspaced_scripts import UNSPACED

WordTokenizer = Literal["unicode", "rouge_score"]

_ASCII_WORD = re.compile("[a-z0-9]+")
_VARIANT_SELECTOR = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def rouge_score_words(text: str) -> list[str]:
    """Return the runs of English letters and digits in a text, in small letters."""
    return _ASCII_WORD.findall(text.lower())


def unicode_words(text: str) -> list[str]:
    """Return the runs of letters, their marks and digits in a text, with case folded.

    Compatible characters are made equal (NFKC). Joiners and other invisible characters are left
    out. In scripts without blanks between words each character is a word.
    """
    if text.isascii():
        return rouge_score_words(text)
    return unicodedata.normalize("NFKC", text).casefold().translate(_TABLE).split()


class _Table(dict[int, str]):
    """A table for `str.translate`, which computes the entry of a character when it is needed."""

    def __missing__(self, code: int) -> str:
        self[code] = _replacement(chr(code))
        return self[code]


def _replacement(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf" or _VARIANT_SELECTOR.match(character):
        return ""
    if category[0] not in "LMN":
        return " "
    return f" {character} " if UNSPACED.match(character) else character


_TABLE = _Table()

#: Tokenizers by the name that params.yaml and the metrics give them.
TOKENIZERS: dict[WordTokenizer, Callable[[str], list[str]]] = {
    "unicode": unicode_words,
    "rouge_score": rouge_score_words,
}
