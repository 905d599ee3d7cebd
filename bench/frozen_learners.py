"""Two learners on the frozen word vectors of the pretrained encoder, trained in closed form.

A span ranker reads question answering data, a linear classifier sentences. Both are weak, but their
learning curves on real data are real, and a training costs a fraction of a second.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from bench.windows import pretrained_folder
from retune.tasks.qa.questions.examples import Answer, Example
from retune.tasks.qa.score.score import best_scores

Array = NDArray[np.float32]
#: Scores in percent of the validation items after a training on some items, with a seed.
Learner = Callable[[Sequence[Example], int], NDArray[np.float64]]

_WORD = re.compile(r"\w+(?:[-'.,]\w+)*|[^\w\s]")
_WORDS = 260  # of a passage that are read
_LONGEST = 4  # words of an answer
_SAMPLED = 36  # wrong spans of a question, drawn once
_SEEN = 12  # of them that a training sees
_ARTICLES = ("the", "a", "an")
_STOP_WORDS = (
    "the a an of in on at to for and or by with is are was were be been from as that this it its "
    "which who whom what when where how did does do had has have he she they his her their not but "
    "than then also o os e em no na um uma que por para com se da das dos de"
)
_STOP = {*_STOP_WORDS.split()}


def span_ranker(validation: Sequence[Example], columns: slice, ridge: float) -> Learner:
    """Return a reader that ranks spans by a regression of their overlap with the answer.

    Args:
        validation: the questions that it is scored on.
        columns: the features that the reader sees.
        ridge: of the regression.
    """
    asked = [(_passage(x.context), _features(x)[:, columns]) for x in validation]

    def learn(train: Sequence[Example], seed: int) -> NDArray[np.float64]:
        generator = np.random.default_rng(seed)
        rows = [_sampled(example) for example in train]
        seen = [[0, *generator.integers(1, len(x), size=_SEEN)] for x, _ in rows]
        features = [x[chosen][:, columns] for (x, _), chosen in zip(rows, seen, strict=True)]
        overlaps = [y[chosen] for (_, y), chosen in zip(rows, seen, strict=True)]
        weights = _ridge(np.concatenate(features), np.concatenate(overlaps), ridge)
        answers = [passage.text_of(int((x @ weights).argmax())) for passage, x in asked]
        return np.array([_f1(*pair) for pair in zip(validation, answers, strict=True)])

    return learn


def classifier(validation: Sequence[Example], dimensions: int, ridge: float) -> Learner:
    """Return a classifier of sentences (`context`) into two labels (`question`, "0" or "1")."""
    seen, labels = _sentences(validation, dimensions)

    def learn(train: Sequence[Example], seed: int) -> NDArray[np.float64]:
        weights = _ridge(*_sentences(train, dimensions), ridge)
        return 100.0 * ((seen @ weights > 0) == (labels > 0))

    return learn


class _Passage:
    """The words of a passage, the spans that may be answers, and the features of the spans."""

    def __init__(self, text: str) -> None:
        words = [*_WORD.finditer(text)][:_WORDS]
        self.text = text
        self.places = np.array([word.span() for word in words])
        self.words = [word.group().lower() for word in words]
        self.spans = _spans(self.words)
        vectors = np.stack([_vector(word) for word in self.words])
        sums = np.vstack([np.zeros_like(vectors[:1]), vectors.cumsum(axis=0)])
        start, end = self.spans.T
        before, behind = np.maximum(start - 3, 0), np.minimum(end + 3, len(words))
        self.inside = (sums[end] - sums[start]) / (end - start)[:, np.newaxis]
        self.left, self.right = (sums[start] - sums[before]) / 3, (sums[behind] - sums[end]) / 3
        digit = np.array([any(map(str.isdigit, word)) for word in self.words])
        capital = np.array([word.group()[0].isupper() for word in words])
        article = np.array([word in _ARTICLES for word in self.words])
        lengths = [end - start == length for length in (1, 2, 3)]
        marks = [capital[start], digit[start], digit[end - 1], article[start]]
        self.marks = np.stack([*lengths, *marks], axis=1).astype(np.float32)

    def text_of(self, span: int) -> str:
        """Return the text of a span."""
        start, end = self.spans[span]
        return self.text[self.places[start, 0] : self.places[end - 1, 1]]

    def overlaps(self, answer: Answer) -> Array:
        """Return the word F1 of each span, compared with an answer."""
        hit = (self.places[:, 0] < answer.end) & (self.places[:, 1] > answer.start)
        common = _between(np.concatenate([[0], hit.cumsum()]), *self.spans.T)
        lengths = self.spans[:, 1] - self.spans[:, 0]
        return np.asarray(2 * common / (lengths + max(int(hit.sum()), 1)), np.float32)


@cache
def _passage(text: str) -> _Passage:
    return _Passage(text)


def _spans(words: Sequence[str]) -> NDArray[np.int64]:
    """Return starts and ends of up to four words without a sign between them."""
    found = []
    for start, word in enumerate(words):
        if not word[0].isalnum() or (word in _STOP and word not in _ARTICLES):
            continue
        for end in range(start + 1, min(len(words), start + _LONGEST) + 1):
            if not words[end - 1][0].isalnum():
                break
            if words[end - 1] not in _STOP:
                found.append((start, end))
    return np.array(found or [(0, 1)], np.int64)


def _features(example: Example) -> Array:
    """Return the features of the spans of a question, shape (spans, features)."""
    passage = _passage(example.context)
    asked = [word.group().lower() for word in _WORD.finditer(example.question)]
    content = {word for word in asked if word not in _STOP and word[0].isalnum()}
    hits = np.concatenate([[0], np.cumsum([word in content for word in passage.words])])
    start, end = passage.spans.T
    own = _between(hits, start, end)
    near = [
        _between(hits, np.maximum(start - reach, 0), np.minimum(end + reach, len(hits) - 1)) - own
        for reach in (2, 5, 10, 20)
    ]
    kind = np.mean([_vector(word) for word in asked[:2]], axis=0)[:10]
    topic = np.mean([_vector(word) for word in asked], axis=0)
    likeness = [vectors @ topic / 8 for vectors in (passage.inside, passage.left, passage.right)]
    plain = np.stack([*near, own / (end - start), *likeness, np.ones(len(own))], axis=1)
    parts = (
        *(passage.marks, plain / 2, passage.left[:, :16], passage.right[:, :16]),
        *(_products(passage.marks, kind[:6]), passage.inside[:, :40]),
        _products(passage.inside[:, :20], kind),
    )
    return np.concatenate(parts, axis=1).astype(np.float32)


@lru_cache(maxsize=2_500)
def _sampled(example: Example) -> tuple[Array, Array]:
    """Return features and overlaps of some spans of a question, the best one first."""
    overlaps = _passage(example.context).overlaps(example.answers[0])
    generator = np.random.default_rng(crc32(example.id.encode()))
    chosen = [overlaps.argmax(), *generator.integers(len(overlaps), size=_SAMPLED)]
    return _features(example)[chosen], overlaps[chosen]


def _f1(example: Example, answer: str) -> float:
    references = [reference.text for reference in example.answers]
    return 100.0 * best_scores(answer, references, squad_v2=False)[1]


def _between(sums: NDArray[Any], start: NDArray[Any], end: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(sums[end] - sums[start])


def _products(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    return (one[:, :, np.newaxis] * other).reshape(len(one), -1)


def _ridge(features: Array, values: Array, ridge: float) -> Array:
    squares = features.T @ features + ridge * np.eye(features.shape[1], dtype=np.float32)
    return np.asarray(np.linalg.solve(squares, features.T @ values), np.float32)


def _sentences(examples: Sequence[Example], dimensions: int) -> tuple[Array, Array]:
    """Return the mean vectors of sentences with a constant, and their labels as -1 and 1."""
    vectors = np.stack([_mean_vector(example.context)[:dimensions] for example in examples])
    ones = np.ones((len(examples), 1), np.float32)
    labels = np.array([2 * float(example.question) - 1 for example in examples], np.float32)
    return np.concatenate([vectors, ones], axis=1), labels


@cache
def _vector(word: str) -> Array:
    return _mean_vector(word)[:64]


@cache
def _mean_vector(text: str) -> Array:
    tokenizer, vectors = _encoder()
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return np.asarray(vectors[ids].mean(axis=0) if ids else np.zeros_like(vectors[0]))


@cache
def _encoder() -> tuple[Tokenizer, Array]:
    """Return the tokenizer, and the word vectors turned to their principal components."""
    folder = pretrained_folder()
    weights = load_file(folder / "model.safetensors")
    (name,) = [name for name in weights if name.endswith("word_embeddings.weight")]
    vectors = weights[name].astype(np.float64)
    vectors -= vectors.mean(axis=0)
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    turned = vectors @ axes[:, ::-1]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, (turned / turned.std()).astype(np.float32)
