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

from retune.commands import DVC, dvc, git
from retune.errors import RetuneError, listed
from retune.experiments import Experiment, parameters

LOGS = Path("logs")
PIPELINES = Path("pipelines")


@dataclass(frozen=True)
class Outcome:
    """How one experiment ended."""

    name: str
    failed: bool
    log: Path


def sister(name: str) -> Path:
    """The folder of a pipeline beside the main one.

    Raises:
        RetuneError: there is none of that name.
    """
    folders = [path.parent for path in sorted(PIPELINES.glob("*/dvc.yaml"))]
    names = ", ".join(folder.name for folder in folders) or "none"
    if PIPELINES / name not in folders:
        raise RetuneError(f"--pipeline {name}: no such pipeline; there are: {names}")
    return PIPELINES / name


def sweep(
    experiments: Sequence[Experiment],
    *,
    replace: bool,
    pipeline: Path | None = None,
    stages: Sequence[str] = (),
    logs: Path = LOGS,
) -> list[Outcome]:
    """Run each experiment with `dvc exp run --temp` and return how each ended.

    With `pipeline` it is the one in that folder which runs, and whose params are changed. With
    `stages` only those of it run, and what they need.

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
    return [_run(experiment, pipeline, stages, logs, bar) for experiment in bar]


def _run(
    experiment: Experiment,
    pipeline: Path | None,
    stages: Sequence[str],
    logs: Path,
    bar: "tqdm[Experiment]",
) -> Outcome:
    bar.set_postfix_str(experiment.name)
    log = logs / f"{experiment.name}.log"
    of = f"{pipeline}/params.yaml" if pipeline else None
    graph = f"{pipeline}/dvc.yaml" if pipeline else "dvc.yaml"
    targets = [f"{graph}:{stage}" for stage in stages] or ([graph] if pipeline else [])
    settings = [part for override in experiment.overrides(of) for part in ("-S", override)]
    folders = own_folders(experiment, Path(of or "params.yaml"))
    settings += [part for folder in folders for part in ("--copy-paths", folder)]
    command = [*DVC, "exp", "run", "--temp", "--name", experiment.name, *settings, *targets]
    with log.open("w", encoding="utf-8") as file:
        print("$", " ".join(command[2:]), file=file, flush=True)
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    return Outcome(experiment.name, done.returncode != 0, log)


def own_folders(experiment: Experiment, params: Path) -> list[str]:
    """Folders of one's own files, of all that `params` name, that a clean copy would not have.

    These are the ones in the project of which neither git nor DVC knows anything.
    """
    values = {**parameters(params), **experiment.changes}
    named = {Path(str(v)) for key, v in values.items() if key.rpartition(".")[2] == "folder"}
    behind = {folder for folder in named if _stays_behind(folder)}
    return [folder.as_posix() for folder in sorted(behind) if not behind & {*folder.parents}]


def _stays_behind(folder: Path) -> bool:
    if folder.is_absolute() or ".." in folder.parts or not folder.is_dir():
        return False
    places = folder, *folder.parents
    is_dvcs = any(Path(f"{place}.dvc").exists() for place in places)
    return not is_dvcs and not git(Path(), "ls-files", "--", str(folder))


def _existing_names() -> set[str]:
    listing = dvc(Path(), "exp", "list", "--all-commits", "--names-only")
    return set(listing.split())


def outcomes_as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The outcomes for other programs."""
    return [{"name": o.name, "failed": o.failed, "log": str(o.log)} for o in outcomes]
