"""What a learning curve runs, and what it costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.core.files import read_json
from retune.core.plain_files import sha256
from retune.core.yaml_files import load_yaml
from retune.stats.power_law import LEAST_SIZES
from retune.tables.metrics_files import figures_of
from retune.tasks.qa.download.subsets import train_part
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tools.compare.sources import VALIDATION_SCORES
from retune.tools.experiments.experiments import SEED, Experiment
from retune.tools.project.code import short_sum
from retune.tools.project.locks import PARAMS, Lock
from retune.tools.why.settings import GONE, value_of

#: Parts of the training questions. With three seeds, they cost 2.1 trainings on all of them.
SHARES = (0.05, 0.1, 0.2, 0.35)
SEEDS = 3
#: What a curve with three seeds may cost, in trainings on all questions.
BUDGET = 2.2
#: The largest part of the questions that a curve trains on.
_LARGEST = 0.5

_TRAIN = Path("data/qa/raw/train.jsonl")
_TIMES = Path("metrics/qa_times.json")
_SHARE, _DRAW = "qa.download.train_share", "qa.download.train_draw"


@dataclass(frozen=True)
class Part:
    """A training on a part of the questions.

    Attributes:
        share: of the questions, about.
        seed: of the training, and of the draw of its articles.
        questions: how many it has.
    """

    share: float
    seed: int
    questions: int


@dataclass(frozen=True)
class Plan:
    """The runs of a curve.

    Attributes:
        parts: the smallest first.
        questions: of the last run, which trained on all of them.
        windows: into which they were cut.
        seconds: that the last run trained.
        key: a sum of everything but its part that decides a run.
    """

    parts: Sequence[Part]
    questions: int
    windows: int
    seconds: float
    key: str

    def cost(self, parts: Sequence[Part]) -> float:
        """Return the cost of some parts, in trainings on all questions."""
        return sum(part.questions for part in parts) / self.questions

    def experiment(self, part: Part) -> Experiment:
        """Return the run of a part as an experiment."""
        changes = {_SHARE: part.share, _DRAW: part.seed, SEED: part.seed}
        return Experiment(f"curve-{self.key}-{part.share}-seed={part.seed}", changes)


def plan(seeds: Sequence[int]) -> Plan:
    """Plan a curve in the project in this folder.

    Raises:
        RetuneError: the last run does not belong to params.yaml, has no validation split, or has
            too few articles.
    """
    values = load_yaml(Path(PARAMS))
    _require_last_run(values)
    examples = [*read_examples(_TRAIN)]
    parts = parts_of(examples, seeds)
    sizes = {part.questions for part in parts}
    if len(sizes) < LEAST_SIZES:
        raise RetuneError(
            f"the training questions have too few articles for a curve: parts of whole articles "
            f"have {len(sizes)} sizes, and {LEAST_SIZES} are needed; give more --seeds"
        )
    windows = _entry("qa_windows", "windows")["windows"]
    seconds = figures_of(read_json(_TIMES))["train_seconds"]
    return Plan(parts, len(examples), windows, seconds, _key(values))


def parts_of(examples: Sequence[Example], seeds: Sequence[int]) -> list[Part]:
    """Return the parts of training questions that a curve trains on, the smallest share first.

    None has more than half of the questions. Two shares with the same articles are one part.
    """
    counted = (
        Part(share, seed, len(train_part(examples, share, seed)))
        for share in SHARES
        for seed in seeds
    )
    budget = BUDGET * max(1.0, len(seeds) / SEEDS)
    return _affordable(_different(counted), len(examples), budget)


def _require_last_run(values: dict[str, Any]) -> None:
    """Refuse a last run with other settings, on a part of the data, or without validation."""
    locked = Lock(Path(), "").params(PARAMS)
    changed = sorted(name for name, value in locked.items() if value_of(values, name) != value)
    if changed:
        raise RetuneError(
            f"a curve is planned from the last run, but {listed(changed)} changed since; run "
            "`dvc repro` first"
        )
    for name in (_SHARE, "qa.download.train_limit"):
        if (value := value_of(values, name)) is not None and value is not GONE:
            raise RetuneError(
                f"{name} is {value}: a curve needs a last run on all training questions; set it "
                "to null, and run `dvc repro`"
            )
    if not _entry("qa_download", "download", "validation").get("questions"):
        raise RetuneError(
            "a curve is scored on the validation split, but there is none: set "
            "qa.download.validation_share (such as 0.1), or name validation files"
        )
    if missing := [str(path) for path in (_TRAIN, VALIDATION_SCORES) if not path.is_file()]:
        raise RetuneError(
            f"a curve is planned from the last run, but {listed(missing)} is missing; run "
            "`dvc repro` first"
        )


def _different(parts: Iterator[Part]) -> list[Part]:
    """Leave out parts that are equal to a smaller share of the same seed."""
    found: dict[tuple[int, int], Part] = {}
    for part in parts:
        found.setdefault((part.questions, part.seed), part)
    return sorted(found.values(), key=lambda part: (part.share, part.seed))


def _affordable(parts: list[Part], questions: int, budget: float) -> list[Part]:
    """Leave out parts above half of the questions, and then the largest ones above the budget."""
    kept = sorted(
        (part for part in parts if part.questions <= _LARGEST * questions),
        key=lambda part: part.questions,
    )
    while sum(part.questions for part in kept) > budget * questions:
        del kept[-1]
    return [part for part in parts if part in kept]


def _key(values: dict[str, Any]) -> str:
    """Return a short sum of the settings, the code and the data."""
    data = [sha256(path) for path in sorted(_TRAIN.parent.glob("*.jsonl"))]
    return short_sum(values, data)


def _entry(file: str, name: str, split: str = "train") -> dict[str, Any]:
    """Return the counts of a split in a metrics file of the last run; none if it has none."""
    entries = read_json(Path("metrics") / f"{file}.json")["qa"][name]
    return next((entry for entry in entries if entry["split"] == split), {})
