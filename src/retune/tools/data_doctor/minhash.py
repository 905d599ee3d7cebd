"""Find contexts that are almost the same by MinHash (Broder, 1997), in linear time.

Two contexts are near if their sets of `SHINGLE` consecutive words have a Jaccard similarity of at
least `THRESHOLD`. Each context has `BANDS` x `ROWS` minima of random hashes. All minima of a band
agree with probability J ** ROWS. Pairs that agree in a band are compared exactly. At the threshold
one pair in 3,000 is missed. Checked by hand against the definition in Broder (1997).
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

SHINGLE = 3
THRESHOLD = 0.8
BANDS = 20
ROWS = 5

_KEPT = 4  # contexts compared in each bucket, so that time stays linear
#: A word, or one letter of a script that puts no spaces between words.
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]|\w+")

_Hashes = NDArray[np.uint64]
_Key = tuple[int, bytes]


class MinHashIndex:
    """An index of contexts, which finds the nearest one to a context."""

    def __init__(self, contexts: Iterable[str] = ()) -> None:
        self._words: dict[str, int] = {}
        draw = np.random.Generator(np.random.PCG64(20))
        self._factors = draw.integers(2**63, size=BANDS * ROWS, dtype=np.uint64) * 2 + 1
        self._contexts: list[str] = []
        self._sets: list[_Hashes] = []
        self._buckets: dict[_Key, list[int]] = {}
        for context in contexts:
            self.add(context)

    def add(self, context: str) -> tuple[str, float] | None:
        """Add a context; return what `nearest` finds before that."""
        shingles = self._shingles(context)
        keys = self._keys(shingles)
        near = self._nearest(shingles, keys)
        for key in keys:
            bucket = self._buckets.setdefault(key, [])
            if len(bucket) < _KEPT:
                bucket.append(len(self._contexts))
        self._contexts.append(context)
        self._sets.append(shingles)
        return near

    def nearest(self, context: str) -> tuple[str, float] | None:
        """The most similar context that is near, and the similarity; None if there is none."""
        shingles = self._shingles(context)
        return self._nearest(shingles, self._keys(shingles))

    def _nearest(self, shingles: _Hashes, keys: list[_Key]) -> tuple[str, float] | None:
        found = {number for key in keys for number in self._buckets.get(key, ())}
        scored = [(_jaccard(shingles, self._sets[number]), -number) for number in found]
        best, number = max(scored, default=(0.0, 0))
        return (self._contexts[-number], best) if best >= THRESHOLD else None

    def _shingles(self, context: str) -> _Hashes:
        """Hashes of the distinct shingles, sorted."""
        words = _WORD.findall(context.casefold())
        hashes = np.array([self._word(word) for word in words] or [0], np.uint64)
        size = min(SHINGLE, len(hashes))
        mixed = np.zeros(len(hashes) - size + 1, np.uint64)
        for place in range(size):
            mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + hashes[place : place + len(mixed)]
        return np.unique(mixed)

    def _word(self, word: str) -> int:
        known = self._words.get(word)
        if known is None:
            data = word.encode("utf-8", "surrogatepass")
            known = int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
            self._words[word] = known
        return known

    def _keys(self, shingles: _Hashes) -> list[_Key]:
        """The bands of the signature; the product of a hash and an odd number is a new hash."""
        products = shingles[:, None] * self._factors  # (shingles, BANDS * ROWS)
        products ^= products >> np.uint64(32)
        products *= np.uint64(0xD6E8FEB86659FD93)
        minima = products.min(axis=0).reshape(BANDS, ROWS)
        return [(band, row.tobytes()) for band, row in enumerate(minima)]


def _jaccard(one: _Hashes, other: _Hashes) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
