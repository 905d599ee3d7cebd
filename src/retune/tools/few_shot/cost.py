"""What the draws of a protocol cost, told before they run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.files import read_json
from retune.tables.metrics_files import figures_of
from retune.tables.terminal_tables import duration
from retune.tools.few_shot.plan import Plan
from retune.tools.project.locks import PARAMS, Lock

#: Settings that decide how fast a training is.
_SPEED = ("qa.model", "qa.checkpoint", "qa.tokenize")


@dataclass(frozen=True)
class LastRun:
    """The training of the last run.

    Attributes:
        tokens: that it trained on, in all epochs.
        rate: tokens a second.
        differs: settings that decide the speed and are others in the protocol.
    """

    tokens: float
    rate: float
    differs: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What some draws cost; windows and tokens are estimated from the lengths of the texts.

    Attributes:
        draws: how many.
        questions: that each trains on.
        windows: that each trains on, in one epoch.
        tokens: that each trains on, in one epoch.
        epochs: of each training, at most.
        scored: test windows that each predicts.
        last: the last run, if there is one.
    """

    draws: int
    questions: int
    windows: float
    tokens: float
    epochs: int
    scored: float
    last: LastRun | None

    @property
    def trained(self) -> float:
        """Tokens that all draws train on, in all epochs."""
        return self.draws * self.epochs * self.tokens

    @property
    def seconds(self) -> float | None:
        """The time of all trainings at the speed of the last run; None if that says nothing."""
        if self.last is None or self.last.differs:
            return None
        return self.trained / self.last.rate

    @property
    def trainings(self) -> float | None:
        """The trainings in those of the last run; None if there is none."""
        return None if self.last is None else self.trained / self.last.tokens


def cost_of(plan: Plan, draws: int) -> Cost:
    """Return the cost of some draws of a plan."""
    qa, train, test = plan.values["qa"], plan.pool["train"], plan.pool["test"]
    count, epochs = plan.questions["train"], int(qa["train"]["epochs"])
    return Cost(
        draws,
        count,
        count * train.windows,
        count * train.tokens * _share_after_cropping(qa["train"]),
        epochs,
        plan.questions["test"] * test.windows,
        _last_run(qa),
    )


def in_words(cost: Cost) -> str:
    """Return the cost as a sentence."""
    epochs = f"{cost.epochs} epoch{'s' * (cost.epochs > 1)}"
    words = (
        f"{cost.draws} training{'s' * (cost.draws > 1)} on {cost.questions:,} questions (about "
        f"{cost.windows:,.0f} windows) for {epochs}, and about {cost.scored:,.0f} test windows to "
        "predict after each"
    )
    if cost.last is None:
        return f"{words}; there is no last run to tell the time by"
    words += f": {cost.trainings:.1f} times the training of the last run"
    if cost.seconds is None:
        names = " and ".join(cost.last.differs)
        return f"{words} in tokens; its time says nothing, because {names} was different"
    return f"{words}, about {duration(cost.seconds)} of training at its speed"


def _last_run(qa: Mapping[str, Any]) -> LastRun | None:
    """Return the last run; None if files of it are missing or unreadable."""
    try:
        locked = Lock(Path(), "").params(PARAMS)
        train = locked["qa.train"]
        entries = read_json(Path("metrics/qa_windows.json"))["qa"]["windows"]
        (entry,) = (entry for entry in entries if entry["split"] == "train")
        tokens = entry["tokens"] * _share_after_cropping(train)
        figures = figures_of(read_json(Path("metrics/qa_times.json")))
        differs = (name for name in _SPEED if locked.get(name) != qa[name.partition(".")[2]])
        rate = figures["train_windows_per_second"] * tokens / entry["windows"]
        return LastRun(tokens * train["epochs"], rate, tuple(differs))
    except (OSError, LookupError, TypeError, ValueError, RetuneError):
        return None


def _share_after_cropping(train: Mapping[str, Any]) -> float:
    """Return about which share of their tokens windows keep; a crop removes half of a context.

    Padded windows save less time than this, because each batch is as long as its longest window.
    """
    return 1 - float(train.get("crop", 0.0)) / 2
