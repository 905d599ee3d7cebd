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
        windows: that it trained on, in all epochs.
        rate: windows a second.
        differs: settings that decide the speed and are others in the protocol.
    """

    windows: int
    rate: float
    differs: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What some draws cost; windows are estimated from the lengths of the texts.

    Attributes:
        draws: how many.
        questions: that each trains on.
        windows: that each trains on, in one epoch.
        epochs: of each training, at most.
        scored: test windows that each predicts.
        last: the last run, if there is one.
    """

    draws: int
    questions: int
    windows: float
    epochs: int
    scored: float
    last: LastRun | None

    @property
    def trained(self) -> float:
        """Windows that all draws train on, in all epochs."""
        return self.draws * self.epochs * self.windows

    @property
    def seconds(self) -> float | None:
        """The time of all trainings at the speed of the last run; None if that says nothing."""
        if self.last is None or self.last.differs:
            return None
        return self.trained / self.last.rate

    @property
    def trainings(self) -> float | None:
        """The trainings in those of the last run; None if there is none."""
        return None if self.last is None else self.trained / self.last.windows


def cost_of(plan: Plan, draws: int) -> Cost:
    """Return the cost of some draws of a plan."""
    windows = {name: plan.questions[name] * split.windows for name, split in plan.pool.items()}
    qa = plan.values["qa"]
    count, epochs = plan.questions["train"], int(qa["train"]["epochs"])
    return Cost(draws, count, windows["train"], epochs, windows["test"], _last_run(qa))


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
        return f"{words} in windows; its time says nothing, because {names} was different"
    return f"{words}, about {duration(cost.seconds)} of training at its speed"


def _last_run(qa: Mapping[str, Any]) -> LastRun | None:
    """Return the last run; None if files of it are missing or unreadable."""
    try:
        locked = Lock(Path(), "").params(PARAMS)
        epochs = locked["qa.train"]["epochs"]
        entries = read_json(Path("metrics/qa_windows.json"))["qa"]["windows"]
        (windows,) = (entry["windows"] for entry in entries if entry["split"] == "train")
        figures = figures_of(read_json(Path("metrics/qa_times.json")))
        differs = (name for name in _SPEED if locked.get(name) != qa[name.partition(".")[2]])
        return LastRun(windows * epochs, figures["train_windows_per_second"], tuple(differs))
    except (OSError, LookupError, TypeError, ValueError, RetuneError):
        return None
