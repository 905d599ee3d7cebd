"""Normalizers: they turn a text into the tokens that exact match and F1 compare.

`squad` is the definition of the SQuAD paper (Rajpurkar et al. 2016) and its scoring
scripts: lower case, without ASCII punctuation and the English articles, split at white
space. It misleads in other languages: they keep their articles and their punctuation, and a
Chinese answer is one token, so that its F1 is 0 or 1.

`plain` is for any language with spaces: compatible characters made equal (NFKC), case
folded, without the punctuation of any script and without invisible format characters,
split at white space. Articles stay.

`characters` is `plain` with each character of a script without spaces as a token of its
own, as the scores of CMRC 2018 (Cui et al. 2019) and DRCD (Shao et al. 2018) count them.
Words of other scripts in the same text stay whole.
"""

import re
import string
import unicodedata
from collections.abc import Callable

from retune.core.unspaced_scripts import UNSPACED

Normalizer = Callable[[str], list[str]]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad(text: str) -> list[str]:
    """Tokens by the rules of the SQuAD scripts, for English."""
    return _ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split()


def plain(text: str) -> list[str]:
    """Tokens of a language with spaces."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN).split()


def characters(text: str) -> list[str]:
    """Tokens of a language without spaces."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_CHARACTERS).split()


class _Table(dict[int, str | None]):
    """A table for `str.translate`, which computes the entry of a character when it is needed."""

    def __init__(self, *, split: bool) -> None:
        super().__init__()
        self._split = split

    def __missing__(self, code: int) -> str | None:
        self[code] = self._replacement(chr(code))
        return self[code]

    def _replacement(self, character: str) -> str | None:
        category = unicodedata.category(character)
        if category.startswith("P") or category == "Cf" or character in string.punctuation:
            return None
        if self._split and UNSPACED.match(character):
            return f" {character} "
        return character


_PLAIN = _Table(split=False)
_CHARACTERS = _Table(split=True)

#: Normalisers by the name that params.yaml and the metrics give them.
NORMALIZERS: dict[str, Normalizer] = {"squad": squad, "plain": plain, "characters": characters}
