"""The bundled lexicon: synonyms with their polarity, paraphrases and negations."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

#: Words of a phrase, in lower case.
Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Replacements for words and phrases.

    Attributes:
        synonyms: of each word; all have its polarity.
        polar: the words that praise or blame, headwords and synonyms.
        dispensable: adjectives and adverbs without polarity that a sentence can lose.
        paraphrases: of a phrase of two words or more.
        negations: words and phrases that negate what follows.
    """

    synonyms: Mapping[str, tuple[str, ...]]
    polar: frozenset[str]
    dispensable: frozenset[str]
    paraphrases: Mapping[Phrase, str]
    negations: frozenset[Phrase]


@cache
def bundled() -> Lexicon:
    """The lexicon of the package."""
    rows = [row.split("\t") for row in _lines("synonyms.tsv")[1:]]
    polarity = {word: sign for word, _, sign, _ in rows}
    synonyms = {word: names.split("|") for word, _, _, names in rows}
    polar = {word for word, sign in polarity.items() if sign != "0"}
    paraphrases = [row.split("\t") for row in _lines("paraphrases.tsv")[1:]]
    return Lexicon(
        # A synonym that is a headword of another polarity would turn the label.
        synonyms={
            word: tuple(n for n in names if polarity.get(n, polarity[word]) == polarity[word])
            for word, names in synonyms.items()
        },
        polar=frozenset(polar.union(*(synonyms[word] for word in polar))),
        dispensable=frozenset(
            word for word, part, sign, _ in rows if sign == "0" and part in {"adj", "adv"}
        ),
        paraphrases={tuple(source.lower().split()): target for source, target in paraphrases},
        negations=frozenset(tuple(line.split()) for line in _lines("negations.txt")),
    )


def _lines(name: str) -> list[str]:
    file = resources.files("retune") / "corpora" / "lexicon" / name
    return file.read_text(encoding="utf-8").splitlines()
