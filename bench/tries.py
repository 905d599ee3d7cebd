"""Tries: how often `retune try` keeps a try that changes nothing, and how often it finds +4 F1.

Simulates searches of 20 tries, and judges each try by the rule of `retune try`. A model answers a
question if a latent normal value is above 0. The value is the sum of

- how easy the passage and the question are, the same for all models,
- what the setting changes: a shift, and its own likes for some passages and questions (`likes`),
- what the seed changes: single questions, a fifth of it by passage, and the whole model by a shift.

A seed-only try has the same setting as the base, and other seeds. Passages have 7 questions on
average, as in the bundled corpus, and F1 is near 50. No model is trained.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bench.measure import RESULTS, plain_parser
from retune.core.numerics import Doubles
from retune.stats.clusters import Clusters
from retune.stats.noise_floor import Gain, gain, run_means
from retune.stats.paired import LEVEL

TRIES = 20
#: Points of F1 by which a planted try is better.
PLANTED = 4.0
#: The standard deviation over seeds of F1 on the bundled corpus, in points.
#: Source: `bert` in metrics/qa_variants.json, 2.2 with three seeds.
SEED_DEVIATION = 2.0
#: What is simulated: these deviations, and these numbers of passages; the bundled split has 50.
DEVIATIONS = tuple(sorted({0.5, 1.0, 2.0, SEED_DEVIATION}))
PASSAGES = (50, 100)
SEEDS = (3, 5)

_QUESTIONS = 7  # of a passage, on average
_POINTS = 40.0  # of F1 for a latent shift of 1: the normal density at 0 is 0.4
_HALF = 0.15  # answers just below 0 overlap with the reference: half of its F1
#: Shares of the latent variance of questions that may change with the seed. With the first, 8 % of
#: the answers of two models differ.
_NOISES = (0.03, 0.01, 0.003, 0.001)


@dataclass(frozen=True)
class World:
    """What is simulated; the latent variance of questions is 1.

    Attributes:
        passages: of the validation split.
        seeds: of a setting.
        seed_deviation: standard deviation of F1 over seeds, in points.
        likes: variance of what a planted try changes beside its shift, a third of it by passage.
        unstable: factor of the deviation over seeds in every other try.
    """

    passages: int = 50
    seeds: int = 3
    seed_deviation: float = 1.0
    likes: float = 0.0
    unstable: float = 1.0

    @property
    def noise(self) -> float:
        """The share of the latent variance of questions that changes with the seed."""
        fits = (n for n in _NOISES if deviation_of(n, self.passages) <= self.seed_deviation)
        return next(fits, 0.0)

    def shift(self, factor: float) -> float:
        """The deviation of a model's latent shift: what the noise of questions leaves."""
        rest = (self.seed_deviation * factor) ** 2 - deviation_of(self.noise, self.passages) ** 2
        return math.sqrt(max(0.0, rest)) / _POINTS


class Draw:
    """One validation split, and the models that answer it."""

    def __init__(self, passages: int, noise: float, generator: np.random.Generator) -> None:
        self._noise, self._count, self._generator = noise, passages, generator
        sizes = np.maximum(1, generator.poisson(_QUESTIONS, passages))
        self._passages = np.repeat(np.arange(passages), sizes)
        self.clusters = Clusters(self._passages)
        self._ease = self._effects(1 - noise, 0.15)

    def setting(self, seeds: int, shift: float, points: float = 0.0, likes: float = 0.0) -> Doubles:
        """Return the scores of a setting with each seed, shape (R, N), in percent."""
        fixed = self._ease + points / _POINTS + self._effects(likes, 1 / 3)
        return np.stack([self._run(fixed, shift) for _ in range(seeds)])

    def _run(self, fixed: Doubles, shift: float) -> Doubles:
        latent = fixed + self._generator.normal(0, shift) + self._effects(self._noise, 0.2)
        return np.where(latent > 0, 100.0, np.where(latent > -_HALF, 50.0, 0.0))

    def _effects(self, variance: float, of_passages: float) -> Doubles:
        """Return effects of passages and questions with this variance in all."""
        draw = self._generator.normal
        passages = draw(0, math.sqrt(variance * of_passages), self._count)
        own = draw(0, math.sqrt(variance * (1 - of_passages)), len(self._passages))
        return passages[self._passages] + own


@lru_cache
def deviation_of(noise: float, passages: int, draws: int = 40) -> float:
    """Return the standard deviation of F1 over seeds that the noise of questions alone makes."""
    generator = np.random.default_rng(0)
    runs = (Draw(passages, noise, generator).setting(8, 0.0) for _ in range(draws))
    return math.sqrt(math.fsum(np.var(run_means(each), ddof=1) for each in runs) / draws)


def is_kept(found: Gain) -> bool:
    """Return the verdict of `retune try` on one of 20 tries."""
    if found.value < 2 * found.error:  # p is above 0.02
        return False
    return found.p_value * TRIES < LEVEL


def search(world: World, generator: np.random.Generator, planted: int | None) -> list[int]:
    """Return the numbers of the tries that a search keeps, up to the planted one, if any."""
    draw = Draw(world.passages, world.noise, generator)
    shifts = world.shift(1.0), world.shift(world.unstable)
    best, others, kept = draw.setting(world.seeds, shifts[0]), list[list[float]](), list[int]()
    for number in range(TRIES if planted is None else planted + 1):
        better = (PLANTED, world.likes) if number == planted else (0.0, 0.0)
        loser = tried = draw.setting(world.seeds, shifts[number % 2], *better)
        if is_kept(gain(best, tried, draw.clusters, others)):
            kept.append(number)
            best, loser = tried, best
        others.append(run_means(loser))
    return kept


@lru_cache
def false_keeps(world: World, loops: int, seed: int = 0) -> float:
    """Return the share of seed-only searches that keep anything."""
    generator = np.random.default_rng(seed)
    return sum(bool(search(world, generator, None)) for _ in range(loops)) / loops


def found(world: World, loops: int, seed: int = 0) -> float:
    """Return the share of searches that keep a planted try, which is at any place."""
    generator = np.random.default_rng(seed)
    hits = 0
    for _ in range(loops):
        planted = int(generator.integers(TRIES))
        hits += planted in search(world, generator, planted)
    return hits / loops


def worlds() -> list[World]:
    """Return what is simulated: each size and noise, plain and mixed gains, unstable tries."""
    plain = [
        World(passages, seeds, deviation)
        for passages in PASSAGES
        for deviation in DEVIATIONS
        for seeds in SEEDS
    ]
    mixed = [replace(world, likes=0.05) for world in plain]
    unstable = [World(50, seeds, SEED_DEVIATION, unstable=3.0) for seeds in SEEDS]
    return [*plain, *mixed, *unstable]


def main() -> None:
    """Simulate every world, and print or save the shares."""
    parser = plain_parser("tries", str(__doc__), "--loops 200 --save")
    parser.add_argument(
        "--loops", type=int, default=200, help="searches of each kind (default: 200)"
    )
    parser.add_argument("--save", action="store_true", help="save the shares to bench/results/")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for world in tqdm(worlds()):
        shares = {
            "false_keeps": false_keeps(replace(world, likes=0.0), options.loops),
            "found": found(world, options.loops),
        }
        rows.append(asdict(world) | {"noise": world.noise} | shares)
    figures = {
        "tries": TRIES, "loops": options.loops, "level": LEVEL, "planted": PLANTED,
        "seed_deviation": SEED_DEVIATION, "questions": _QUESTIONS, "worlds": rows,
    }  # fmt: skip
    text = json.dumps(figures, indent=2) + "\n"
    if options.save:
        Path(RESULTS / "tries.json").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
