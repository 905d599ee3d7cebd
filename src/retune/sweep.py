"""Experiments one after the other, each in a clean copy, each with a log of its own.

DVC's queue does the same with background workers; this runs in the foreground, goes on
after a failure, and says at the end what failed and where its log is.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from retune.commands import DVC, dvc
from retune.errors import RetuneError, listed
from retune.experiments import Experiment

LOGS = Path("logs")


@dataclass(frozen=True)
class Outcome:
    """How one experiment ended."""

    name: str
    failed: bool
    log: Path


def sweep(experiments: Sequence[Experiment], *, replace: bool, logs: Path = LOGS) -> list[Outcome]:
    """Run each experiment with `dvc exp run --temp` and return how each ended.

    Raises:
        RetuneError: before anything runs, where two experiments have one name, or an
            experiment of that name is there already and `replace` is false.
    """
    names = [experiment.name for experiment in experiments]
    if len(set(names)) < len(names):
        raise RetuneError(f"two experiments have one name: {listed(sorted(names))}")
    known = _existing_names()
    existing = [name for name in names if name in known]
    if existing and not replace:
        raise RetuneError(
            f"experiments of that name are there already: {listed(existing)}; "
            "give --replace to run them again, or remove them with `dvc exp remove`"
        )
    if existing:
        dvc(Path(), "exp", "remove", *existing)
    logs.mkdir(exist_ok=True)
    bar = tqdm(experiments, desc="sweep", unit=" experiments")
    return [_run(experiment, logs, bar) for experiment in bar]


def _run(experiment: Experiment, logs: Path, bar: "tqdm[Experiment]") -> Outcome:
    bar.set_postfix_str(experiment.name)
    log = logs / f"{experiment.name}.log"
    settings = [part for override in experiment.overrides() for part in ("-S", override)]
    command = [*DVC, "exp", "run", "--temp", "--name", experiment.name, *settings]
    with log.open("w", encoding="utf-8") as file:
        print("$", " ".join(command[2:]), file=file, flush=True)
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    return Outcome(experiment.name, done.returncode != 0, log)


def _existing_names() -> set[str]:
    listing = dvc(Path(), "exp", "list", "--all-commits", "--names-only")
    return set(listing.split())


def outcomes_as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The outcomes for other programs."""
    return [{"name": o.name, "failed": o.failed, "log": str(o.log)} for o in outcomes]
