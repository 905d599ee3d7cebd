"""Tries: how often `retune try` keeps a try that changes nothing, and how often it finds +4 F1.

Simulates searches of 20 tries, and judges each try by the rule of `retune try`. A model answers a
question if a latent normal value is above 0. The value is the sum of

- how easy the passage and the question are, the same for all models,
- what the setting changes: a shift, and its own likes for some passages and questions (`likes`),
- what the seed changes: a shift of the whole model, of passages and of questions.

A seed-only try has the same setting as the base, and other seeds. The default sizes are those of
the bundled corpus: 44 passages with 8 questions each, and F1 near 50. The standard deviation over
seeds, about 1 point, is an assumption. No model is trained.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
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
#: A latent shift that raises F1 by 4 points where it is 50: the normal density at 0 is 0.4.
PLANTED = 0.1
_HALF = 0.15  # answers just below 0 overlap with the reference: half of its F1


@dataclass(frozen=True)
class World:
    """The sizes of a simulation; the latent variances of passages, questions and seeds sum to 1.

    Attributes:
        passages: of the validation split.
        questions: of a passage, on average.
        seeds: of a setting.
        noise: share of the variance that changes with the seed, a fifth of it by passage.
        shift: variance of the shift of a whole model by its seed.
        likes: variance of what a planted try changes beside its shift, a third of it by passage.
        unstable: factor of the shift's deviation in every other try, as of an unstable training.
    """

    passages: int = 44
    questions: int = 8
    seeds: int = 3
    noise: float = 0.03
    shift: float = 0.0
    likes: float = 0.0
    unstable: float = 1.0


class Draw:
    """One validation split, and the models that answer it."""

    def __init__(self, world: World, generator: np.random.Generator) -> None:
        self._world, self._generator = world, generator
        sizes = np.maximum(1, generator.poisson(world.questions, world.passages))
        self._passages = np.repeat(np.arange(world.passages), sizes)
        self.clusters = Clusters(self._passages)
        self._ease = self._effects(1 - world.noise, 0.15)

    def setting(self, gain_: float = 0.0, likes: float = 0.0, unstable: float = 1.0) -> Doubles:
        """Return the scores of a setting with each seed, shape (R, N), in percent."""
        fixed = self._ease + gain_ + self._effects(likes, 1 / 3)
        return np.stack([self._run(fixed, unstable) for _ in range(self._world.seeds)])

    def _run(self, fixed: Doubles, unstable: float) -> Doubles:
        shift = self._generator.normal(0, math.sqrt(self._world.shift) * unstable)
        latent = fixed + shift + self._effects(self._world.noise, 0.2)
        return np.where(latent > 0, 100.0, np.where(latent > -_HALF, 50.0, 0.0))

    def _effects(self, variance: float, of_passages: float) -> Doubles:
        """Return effects of passages and questions with this variance in all."""
        draw = self._generator.normal
        passages = draw(0, math.sqrt(variance * of_passages), self._world.passages)
        own = draw(0, math.sqrt(variance * (1 - of_passages)), len(self._passages))
        return passages[self._passages] + own


def is_kept(found: Gain) -> bool:
    """Return the verdict of `retune try` on one of 20 tries."""
    if found.value < 2 * found.error:  # p is above 0.02
        return False
    return found.p_value * TRIES < LEVEL


def search(world: World, generator: np.random.Generator, planted: int | None) -> list[int]:
    """Return the numbers of the tries that a search keeps; only `planted` is better, if any."""
    draw = Draw(world, generator)
    best, others, kept = draw.setting(), list[list[float]](), list[int]()
    for number in range(TRIES):
        better = (PLANTED, world.likes) if number == planted else (0.0, 0.0)
        tried = draw.setting(*better, world.unstable if number % 2 else 1.0)
        loser = tried
        if is_kept(gain(best, tried, draw.clusters, others)):
            kept.append(number)
            best, loser = tried, best
        others.append(run_means(loser))
    return kept


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


def seed_deviation(world: World, draws: int = 40) -> float:
    """Return the standard deviation of F1 over seeds."""
    generator = np.random.default_rng(0)
    many = replace(world, seeds=8)
    variances = [np.var(run_means(Draw(many, generator).setting()), ddof=1) for _ in range(draws)]
    return math.sqrt(math.fsum(variances) / draws)


def worlds() -> list[World]:
    """Return what is simulated: the bundled corpus, noisier seeds, more passages, other likes."""
    plain = [World(seeds=seeds) for seeds in (3, 5)]
    noisy = [replace(world, noise=0.05, shift=0.0005) for world in plain]
    unstable = [replace(world, shift=0.0003, unstable=4.0) for world in plain]
    liking = [replace(world, likes=0.05) for world in plain]
    large = [replace(world, passages=passages) for world in liking for passages in (88, 176, 352)]
    return [*plain, *noisy, *unstable, *liking, *large]


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
        rows.append(
            asdict(world)
            | {
                "seed_deviation": round(seed_deviation(world), 2),
                "false_keeps": false_keeps(world, options.loops),
                "found": found(world, options.loops),
            }
        )
    figures = {"tries": TRIES, "loops": options.loops, "level": LEVEL, "worlds": rows}
    text = json.dumps(figures, indent=2) + "\n"
    if options.save:
        Path(RESULTS / "tries.json").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
