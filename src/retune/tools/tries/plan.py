"""The plan of a search: what is fixed before its first run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from retune.core.errors import RetuneError
from retune.core.plain_files import sha256
from retune.preflight.validation import PARAMS
from retune.stats.paired import LEVEL
from retune.stats.seed_spread import ENOUGH
from retune.tasks.task import main_task
from retune.tools.experiments.experiments import SEED
from retune.tools.experiments.grid import parse_seeds
from retune.tools.project.code import CODE, code_digest
from retune.tools.project.commands import git

Metric = Literal["f1", "exact_match"]
SPLIT = "validation"
_DATA = ("dataset", "datasets.", "download.validation_", "download.test_", "download.sample_seed")


@dataclass(frozen=True)
class Plan:
    """What a search may do.

    Attributes:
        tries: how many settings may be tried.
        seeds: that each setting is trained with.
        metric: that decides.
        split: whose questions decide.
        level: the probability to keep anything if no try is better.
        commit: at which the search began.
        params: SHA-256 of params.yaml.
        code: SHA-256 of the code and the graph.
        known: the scores on the validation questions that were there before, as far as DVC's
            cache remembers.
    """

    tries: int
    seeds: tuple[int, ...]
    metric: Metric
    split: str
    level: float
    commit: str
    params: str
    code: str
    known: tuple[str, ...]

    @classmethod
    def made(
        cls, folder: Path, tries: int, seeds: str, metric: Metric, known: Sequence[str]
    ) -> Self:
        """Return the plan of a new search in the project `folder`.

        Raises:
            RetuneError: there are too few tries or seeds.
        """
        if tries < 1:
            raise RetuneError(f"--tries {tries}: give the number of tries, 1 or more")
        parsed = tuple(parse_seeds(seeds))
        if len(parsed) < ENOUGH:
            raise RetuneError(
                f"--seeds {seeds}: the noise of seeds is unknown with fewer than {ENOUGH}; give "
                f"{ENOUGH} or more"
            )
        commit = git(folder, "rev-parse", "HEAD")
        sums = sha256(folder / PARAMS), code_digest(folder)
        return cls(tries, parsed, metric, SPLIT, LEVEL, commit, *sums, tuple(known))

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """Return the plan in a ledger's entry."""
        values = dict(entry["plan"])
        for name in ("seeds", "known"):
            values[name] = tuple(values[name])
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Return it for a ledger's entry."""
        return asdict(self)

    def require_unchanged(self, folder: Path) -> None:
        """Refuse to go on with other params or other code.

        Raises:
            RetuneError: something differs; the message says what and what to do.
        """
        remedy = (
            f"go back to how it was at {self.commit[:7]}; after `retune try --end` another search "
            "can begin"
        )
        if sha256(folder / PARAMS) != self.params:
            raise RetuneError(f"{PARAMS} has changed since the search began; {remedy}")
        if code_digest(folder) != self.code:
            raise RetuneError(
                f"the code ({', '.join(CODE)}) has changed since the search began; {remedy}"
            )


def require_allowed(keys: Sequence[str]) -> None:
    """Refuse changes to what a plan fixes: the seed, the questions, and how answers are scored.

    Raises:
        RetuneError: one of the dotted names is among these.
    """
    task = main_task()
    fixed = (SEED, *task.rules)
    data = tuple(task.key(name) for name in _DATA)
    for key in keys:
        if key in fixed or any(rule.startswith(f"{key}.") for rule in fixed):
            raise RetuneError(f"{key}: the plan fixes the seeds and how answers are scored")
        if key.startswith(data) or any(name.startswith(f"{key}.") for name in data):
            raise RetuneError(f"{key}: a try cannot choose the questions that it is scored on")
