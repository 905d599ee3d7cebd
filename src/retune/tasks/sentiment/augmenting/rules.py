"""Augmentation by rules over the bundled lexicon: offline, and the same for the same seed.

The four rules follow Wei and Zou (2019): synonyms, paraphrases, dropout of words, and swaps of
words. These restrictions keep the label:

- no rule touches a negation or its scope, a contrast or a modifier (see `_sentences`);
- words of praise and blame may become synonyms of the same polarity, but are not dropped or moved;
- only words without polarity are dropped, and of the lexicon only adjectives and adverbs;
- words move within their clause, so that a clause after a "but" keeps its words.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT, NotNegative, Seed
from retune.tasks.sentiment.augmenting._lexicon import Lexicon, bundled
from retune.tasks.sentiment.augmenting._sentences import Sentence
from retune.tasks.sentiment.texts.examples import Example

#: The least number of words that dropout leaves.
_FEWEST = 3
#: Words that dropout may remove besides the lexicon's dispensable ones: function words, which judge
#: nothing. The lexicon does not have every word of praise or blame, so dropout removes only words
#: that are known to be neutral.
_LIGHT = frozenset(
    {"a", "an", "the", "this", "that", "these", "those", "which", "who", "whose", "whom", "what"}
    | {"i", "me", "my", "we", "us", "our", "you", "your", "he", "him", "his", "she", "her", "it"}
    | {"its", "they", "them", "their", "one", "and", "or", "as", "so", "of", "in", "on", "at", "by"}
    | {"to", "from", "for", "with", "about", "into", "over", "through", "after", "before", "during"}
    | {"is", "are", "was", "were", "be", "been", "being", "am", "has", "have", "had", "do", "does"}
    | {"did", "will", "there", "here", "then", "now", "also", "some", "such", "both", "each"}
)
_VOWELS = frozenset("aeiou")
_T = TypeVar("_T")


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.augment.methods.rules`.

    Each rule has a number of candidates per sentence. `share` is the share of the possible words or
    phrases that a candidate changes, at least one. The choice depends on `seed`, the rule and the
    sentence's id, and on no other sentence.
    """

    seed: Seed
    share: Annotated[float, Field(gt=0.0, le=1.0)]
    synonyms: NotNegative
    paraphrases: NotNegative
    dropout: NotNegative
    swaps: NotNegative

    def __post_init__(self) -> None:
        if not any(getattr(self, rule) for rule in RULES):
            raise ValueError("all rules are 0; for no augmentation choose the method `none`")


def augmented(examples: Sequence[Example], params: Params) -> Iterator[Example]:
    """Yield the candidates of each rule for each sentence; unchanged if the rule finds no place."""
    lexicon = bundled()
    for example in examples:
        sentence = Sentence(example.text, lexicon.negations)
        for rule, change in RULES.items():
            draw = random.Random(f"{params.seed} {rule} {example.id}")
            for number in range(1, getattr(params, rule) + 1):
                text = change(sentence, lexicon, draw, params.share)
                name = f"{example.id}-{rule}-{number}"
                yield Example(name, text, example.label, example.id, rule)


def replace_synonyms(
    sentence: Sentence, lexicon: Lexicon, draw: random.Random, share: float
) -> str:
    """Replace words by synonyms."""
    choices = {n: _synonyms(sentence, lexicon, n) for n in sentence.free}
    drawn = _drawn([n for n, names in choices.items() if names], draw, share)
    return sentence.changed(
        {n: (n + 1, _as_written(sentence, n, draw.choice(choices[n]))) for n in drawn}
    )


def paraphrase(sentence: Sentence, lexicon: Lexicon, draw: random.Random, share: float) -> str:
    """Replace phrases by other phrases."""
    drawn = _drawn(sentence.phrases(lexicon.paraphrases), draw, share)
    return sentence.changed(
        {first: (end, _as_written(sentence, first, new)) for first, end, new in drawn}
    )


def drop_words(sentence: Sentence, lexicon: Lexicon, draw: random.Random, share: float) -> str:
    """Drop light and dispensable words, if enough words remain."""
    light = _LIGHT | lexicon.dispensable
    drawn = _drawn(
        [n for n in _movable(sentence, lexicon) if sentence.keys[n] in light], draw, share
    )
    if sum(token.is_word for token in sentence.tokens) - len(drawn) < _FEWEST:
        return sentence.text
    return sentence.changed({n: (n + 1, "") for n in drawn})


def swap_words(sentence: Sentence, lexicon: Lexicon, draw: random.Random, share: float) -> str:
    """Swap words of one clause."""
    clauses: dict[int, list[int]] = {}
    for n in _movable(sentence, lexicon):
        clauses.setdefault(sentence.clauses[n], []).append(n)
    pairs: list[tuple[int, int]] = []
    for numbers in clauses.values():
        draw.shuffle(numbers)
        pairs += zip(numbers[::2], numbers[1::2], strict=False)
    texts = [token.text for token in sentence.tokens]
    replacements: dict[int, tuple[int, str]] = {}
    for one, other in _drawn(pairs, draw, share):
        replacements |= {one: (one + 1, texts[other]), other: (other + 1, texts[one])}
    return sentence.changed(replacements)


#: The rules by the name of their params, which is the `method` of what they make.
RULES: Mapping[str, Callable[[Sentence, Lexicon, random.Random, float], str]] = {
    "synonyms": replace_synonyms,
    "paraphrases": paraphrase,
    "dropout": drop_words,
    "swaps": swap_words,
}


def _drawn(items: Sequence[_T], draw: random.Random, share: float) -> list[_T]:
    """Draw a share of the items, at least one if there are any."""
    size = max(1, round(share * len(items)))
    return draw.sample(items, size) if items else []


def _movable(sentence: Sentence, lexicon: Lexicon) -> list[int]:
    """Words that may be dropped or moved; not the first one, whose capital would move along."""
    return [n for n in sentence.free if n > 0 and sentence.keys[n] not in lexicon.polar]


def _synonyms(sentence: Sentence, lexicon: Lexicon, n: int) -> list[str]:
    """Synonyms of word `n` that fit the article before it; a name has none."""
    token = sentence.tokens[n]
    if n > 0 and token.text[0].isupper():
        return []
    names = list(lexicon.synonyms.get(token.key, ()))
    if n > 0 and sentence.keys[n - 1] in {"a", "an"}:
        names = [name for name in names if (name[0] in _VOWELS) == (token.key[0] in _VOWELS)]
    return names


def _as_written(sentence: Sentence, n: int, new: str) -> str:
    """Capitalize the new text if the sentence begins with a capital."""
    is_capital = n == 0 and sentence.tokens[0].text[0].isupper()
    return new[0].upper() + new[1:] if is_capital else new
