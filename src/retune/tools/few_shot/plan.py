"""What a few-shot protocol runs: one experiment for each draw of the training questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.core.yaml_files import load_yaml
from retune.tools.experiments.effects import changed_params, require_effects
from retune.tools.experiments.experiments import DRAW, SEED, Experiment, load_experiment
from retune.tools.experiments.grid import grid
from retune.tools.few_shot.pool import Pool, read_pool
from retune.tools.project.code import short_sum

#: The last stage of each draw; it scores the test questions.
STAGE = "score"
_FEWEST = 2  # draws: one alone shows no spread
_LARGEST_DRAW = 10_000

_LIMITS = {name: f"qa.download.{name}_limit" for name in ("train", "validation", "test")}
_SHARE = "qa.download.train_share"
#: What the protocol sets.
SET = (*_LIMITS.values(), _SHARE, DRAW, SEED)


@dataclass(frozen=True)
class Sizes:
    """How many questions of each split a draw has, and how many draws there are."""

    train: int = 1024
    validation: int = 256
    test: int = 2048
    draws: int = 10

    @property
    def questions(self) -> Mapping[str, int]:
        """The questions by split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class Plan:
    """The runs of a protocol.

    Attributes:
        sizes: that were asked for.
        pool: the questions that there are.
        settings: of every draw, besides those in params.yaml.
        swept: the names among them that were given one by one.
        values: of params.yaml with all changes of the first draw.
        key: a sum of everything but draw and seed that decides a run.
    """

    sizes: Sizes
    pool: Pool
    settings: Mapping[str, Any]
    swept: frozenset[str]
    values: Mapping[str, Any]
    key: str

    @property
    def name(self) -> str:
        """What `retune compare` calls all draws together."""
        return f"few-shot-{self.key}"

    @property
    def questions(self) -> Mapping[str, int]:
        """How many questions of each split are used."""
        wanted = self.sizes.questions
        return {name: min(wanted[name], split.questions) for name, split in self.pool.items()}

    @property
    def experiments(self) -> list[Experiment]:
        """One for each draw, from 1."""
        return [
            Experiment(f"{self.name}-draw={n}", {**self.settings, DRAW: n, SEED: n}, self.swept)
            for n in range(1, self.sizes.draws + 1)
        ]


def plan(words: Sequence[str], sizes: Sizes) -> Plan:
    """Plan a protocol in the project in this folder.

    Args:
        words: names of experiments and assignments, all for one setting.
        sizes: of the protocol.

    Raises:
        RetuneError: a word, a setting or a size is wrong, or the data cannot be read or have too
            few training questions.
    """
    _require_sizes(sizes)
    changes, swept = _changes(words)
    sampled = {_LIMITS[name]: f"sample {count}" for name, count in sizes.questions.items()}
    changes |= {**sampled, _SHARE: None, DRAW: 1, SEED: 1}
    first = Experiment("few-shot", changes, swept)
    require_effects(Path(), [first], [STAGE])
    with changed_params(Path(), first) as path:
        pool, values = read_pool(path), load_yaml(path)
    _require_enough(pool, sizes)
    # Null says that a split is whole.
    for name in ("validation", "test"):
        if pool[name].questions <= sizes.questions[name]:
            changes[_LIMITS[name]] = values["qa"]["download"][f"{name}_limit"] = None
    key = short_sum(values, [split.sha256 for split in pool.values()])
    return Plan(sizes, pool, changes, swept, values, key)


def _require_sizes(sizes: Sizes) -> None:
    for name, count in sizes.questions.items():
        if count < 1:
            raise RetuneError(f"--{name} {count}: give the number of questions, 1 or more")
    if not _FEWEST <= sizes.draws <= _LARGEST_DRAW:
        raise RetuneError(
            f"--draws {sizes.draws}: give a number from {_FEWEST} to {_LARGEST_DRAW:,}; one draw "
            "alone shows no spread"
        )


def _changes(words: Sequence[str]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the changes of named experiments and assignments, and which were assigned."""
    assignments = [word for word in words if "=" in word]
    changes: dict[str, Any] = {}
    for name in (word for word in words if "=" not in word):
        changes |= load_experiment(name).changes
    points = grid(assignments)
    if len(points) > 1:
        raise RetuneError(
            f"{' '.join(assignments)}: {len(points)} settings, but a protocol is of one; give one "
            "value for each param, and run `retune few-shot` once for each setting"
        )
    swept = points[0].swept if points else frozenset[str]()
    if own := sorted(key for key in swept if key in SET):
        raise RetuneError(
            f"{listed(own)}: the protocol sets this; give --train, --validation, --test or --draws"
        )
    return changes | dict(points[0].changes if points else {}), swept


def _require_enough(pool: Pool, sizes: Sizes) -> None:
    there = pool["train"].questions
    if there < sizes.train:
        raise RetuneError(
            f"the training split has {there:,} questions, but each draw needs {sizes.train:,}; "
            f"give --train with at most half of them ({there // 2:,}), or a larger data set "
            "(such as qa.dataset=squad)"
        )
