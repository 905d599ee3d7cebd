"""Augmentation by rules over the bundled lexicon: offline, and the same for the same seed.

Four rules in the manner of Wei and Zou (2019), bound so that they keep the label: synonyms,
paraphrases, dropout of words, and swaps of words. None of them touches a negation or what it
turns, a contrast or a modifier (see `_sentences`); only synonyms, of their own polarity, stand
for words of praise and blame, which are neither dropped nor moved; only words that judge nothing
are dropped, and of the lexicon's none but adjectives and adverbs; and words move within their
clause alone, so that what follows a "but" goes on following it.
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

#: Words that dropout leaves at least.
_FEWEST = 3
#: Words that dropout may take, beside the lexicon's dispensable ones: they bind others and judge
#: nothing. The lexicon cannot know every word of praise or blame, so that dropout asks for what is
#: known to be neither.
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

    How many candidates each rule makes of each sentence, and the `share` of the words (or
    phrases) open to it that one candidate changes: at least one. Which they are depends on
    `seed`, the rule and the sentence's id, and on no other sentence.
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
    """The candidates of each rule for each sentence; unchanged where a rule finds no place."""
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
    """Put synonyms in the place of words."""
    choices = {n: _synonyms(sentence, lexicon, n) for n in sentence.free}
    drawn = _drawn([n for n, names in choices.items() if names], draw, share)
    return sentence.changed(
        {n: (n + 1, _as_written(sentence, n, draw.choice(choices[n]))) for n in drawn}
    )


def paraphrase(sentence: Sentence, lexicon: Lexicon, draw: random.Random, share: float) -> str:
    """Put other phrases in the place of phrases."""
    drawn = _drawn(sentence.phrases(lexicon.paraphrases), draw, share)
    return sentence.changed(
        {first: (end, _as_written(sentence, first, new)) for first, end, new in drawn}
    )


def drop_words(sentence: Sentence, lexicon: Lexicon, draw: random.Random, share: float) -> str:
    """Leave light and dispensable words out, where enough remain."""
    light = _LIGHT | lexicon.dispensable
    drawn = _drawn(
        [n for n in _movable(sentence, lexicon) if sentence.keys[n] in light], draw, share
    )
    if sum(token.is_word for token in sentence.tokens) - len(drawn) < _FEWEST:
        return sentence.text
    return sentence.changed({n: (n + 1, "") for n in drawn})


def swap_words(sentence: Sentence, lexicon: Lexicon, draw: random.Random, share: float) -> str:
    """Let words of one clause change places."""
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
    """A share of the items, one at least where there is any."""
    size = max(1, round(share * len(items)))
    return draw.sample(items, size) if items else []


def _movable(sentence: Sentence, lexicon: Lexicon) -> list[int]:
    """Words that may go or move: not the first, whose capital would move with it."""
    return [n for n in sentence.free if n > 0 and sentence.keys[n] not in lexicon.polar]


def _synonyms(sentence: Sentence, lexicon: Lexicon, n: int) -> list[str]:
    """What may stand for word `n`: nothing for a name, and what fits an article before it."""
    token = sentence.tokens[n]
    if n > 0 and token.text[0].isupper():
        return []
    names = list(lexicon.synonyms.get(token.key, ()))
    if n > 0 and sentence.keys[n - 1] in {"a", "an"}:
        names = [name for name in names if (name[0] in _VOWELS) == (token.key[0] in _VOWELS)]
    return names


def _as_written(sentence: Sentence, n: int, new: str) -> str:
    """With a capital where the sentence begins with one."""
    is_capital = n == 0 and sentence.tokens[0].text[0].isupper()
    return new[0].upper() + new[1:] if is_capital else new
