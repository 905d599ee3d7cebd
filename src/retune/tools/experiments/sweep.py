"""Run experiments one after the other, each in a clean copy and with its own log.

DVC's queue does the same with background workers; this runs in the foreground, goes on
after a failure, and says at the end what failed and where its log is.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from retune.core.errors import RetuneError, listed
from retune.core.params import parameters
from retune.preflight.validation import stage_folder
from retune.tasks.task import main_task
from retune.tools.experiments import leftovers
from retune.tools.experiments.effects import require_effects
from retune.tools.experiments.experiments import Experiment
from retune.tools.experiments.grid import python_value
from retune.tools.experiments.listing import Ref, read_row
from retune.tools.project.commands import DVC, dvc, git, last_lines

LOGS = Path("logs")
_LINES = 6  # of a log, shown where an experiment failed
#: The ends of keys that may name folders.
_FOLDER_KEYS = (".folder", ".checkpoint.name")


@dataclass(frozen=True)
class Outcome:
    """The outcome of one experiment.

    Attributes:
        name: of the experiment.
        failed: whether it did.
        log: what DVC and the stages printed.
        error: the last lines of the log of one that failed.
    """

    name: str
    failed: bool
    log: Path
    error: str = field(default="", compare=False)


def require_all(outcomes: Sequence[Outcome], noun: str, again: str) -> None:
    """Refuse to go on without some experiments, which the message calls `noun`.

    `again` says how to run what is missing.

    Raises:
        RetuneError: an experiment failed.
    """
    if failed := [f"{one.name} (see {one.log})" for one in outcomes if one.failed]:
        raise RetuneError(
            f"{len(failed)} of {len(outcomes)} {noun} failed: {listed(failed)}; correct the cause "
            f"and {again}"
        )


@dataclass(frozen=True)
class Pipeline:
    """The location of a pipeline, as DVC takes it.

    Attributes:
        folder: of its dvc.yaml and params.yaml.
    """

    folder: Path = Path()

    @property
    def project(self) -> Path:
        """The folder of its DVC project, in which DVC is called."""
        return self.folder if (self.folder / ".dvc").is_dir() else Path()

    @property
    def inside(self) -> Path:
        """Its folder, relative to the DVC project."""
        return self.folder.relative_to(self.project)

    def arguments(self, experiment: Experiment, stages: Sequence[str]) -> list[str]:
        """Return the arguments of `dvc exp run`: settings, folders to copy, stages."""
        elsewhere = self.inside != Path()
        params = str(self.inside / "params.yaml") if elsewhere else None
        graph = str(self.inside / "dvc.yaml")
        settings = [part for o in experiment.overrides(params) for part in ("-S", o)]
        copies = own_folders(experiment, self.folder / "params.yaml", stage_folder(self.folder))
        seen = (Path(os.path.relpath(copy, self.project)).as_posix() for copy in copies)
        settings += [part for copy in seen for part in ("--copy-paths", copy)]
        targets = [f"{graph}:{stage}" for stage in stages] or ([graph] if elsewhere else [])
        return [*settings, *targets]


def sweep(
    experiments: Sequence[Experiment],
    *,
    replace: bool,
    pipeline: Path | None = None,
    stages: Sequence[str] = (),
    logs: Path = LOGS,
) -> list[Outcome]:
    """Run each experiment with `dvc exp run --temp` and return the outcomes.

    Runs the pipeline in the folder `pipeline`, or the main one. With `stages`, only these and the
    stages that they need run.

    Raises:
        RetuneError: before anything runs, where two experiments have one name, an experiment of
            that name is there already and `replace` is false, a stage would refuse a value, or a
            swept key has no effect.
    """
    place = Pipeline(pipeline or Path())
    names = [experiment.name for experiment in experiments]
    if len(set(names)) < len(names):
        raise RetuneError(f"two experiments have one name: {listed(sorted(names))}")
    for note in require_effects(place.folder, experiments, stages):
        print(f"note: {note}", file=sys.stderr)
    known = _existing_names(place.project)
    existing = [name for name in names if name in known]
    if existing and not replace:
        raise RetuneError(
            f"there are already experiments of that name: {listed(existing)}; "
            "give --replace to run them again, or remove them with `dvc exp remove`"
        )
    if existing:
        dvc(place.project, "exp", "remove", *existing)
    logs.mkdir(exist_ok=True)
    bar = tqdm(experiments, desc="sweep", unit=" experiments")
    return [_run(experiment, place, stages, logs, bar) for experiment in bar]


def _run(
    experiment: Experiment,
    place: Pipeline,
    stages: Sequence[str],
    logs: Path,
    bar: "tqdm[Experiment]",
) -> Outcome:
    bar.set_postfix_str(experiment.name)
    log = logs / f"{experiment.name}.log"
    command = [*DVC, "exp", "run", "--temp", "--name", experiment.name]
    command += place.arguments(experiment, stages)
    with log.open("w", encoding="utf-8") as file:
        print("$", " ".join(command[2:]), file=file, flush=True)
        done = subprocess.run(
            command, cwd=place.project, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    failed = done.returncode != 0
    error = last_lines(log, _LINES) if failed else ""
    if done.returncode < 0:  # DVC could not clean up
        leftovers.remove_killed(place.project, experiment.name)
        error += f"\nkilled by signal {-done.returncode}"
    return Outcome(experiment.name, failed, log, error)


def cost_note(count: int) -> str:
    """Say how long trainings like the last one of the main pipeline take; "" if it is unknown."""
    seconds = read_row(Ref("workspace", "", "")).get(main_task().key("train_seconds"))
    if seconds is None:
        return ""
    return (
        f"note: the last training took {seconds:,.0f} s; {count} like it take "
        f"{count * seconds / 60:,.0f} minutes. What DVC's cache has is not run again"
    )


def own_folders(experiment: Experiment, params: Path, top: Path = Path()) -> list[str]:
    """Return the user's folders that `params` name and that a clean copy would lack.

    These are the ones in the project that neither git nor DVC knows: data, and a pretrained encoder
    such as `pipelines/pretraining/data/model`. Params name them from `top`. Folders outside of it
    (`../data`) are not copied; name them absolutely.
    """
    values = {**parameters(params), **experiment.changes}
    folders = (value for key, value in values.items() if key.endswith(_FOLDER_KEYS))
    named = {Path(str(python_value(folder))) for folder in folders}
    behind = {Path(os.path.normpath(top / path)) for path in named if _stays_behind(top, path)}
    return [folder.as_posix() for folder in sorted(behind) if not behind & {*folder.parents}]


def _stays_behind(top: Path, folder: Path) -> bool:
    if folder.is_absolute() or ".." in folder.parts or not (top / folder).is_dir():
        return False
    places = folder, *folder.parents
    is_dvcs = any((top / f"{place}.dvc").exists() for place in places)
    return not is_dvcs and not git(top, "ls-files", "--", str(folder))


def _existing_names(project: Path) -> set[str]:
    listing = dvc(project, "exp", "list", "--all-commits", "--names-only")
    return set(listing.split())


def outcomes_as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the outcomes as JSON values."""
    return [
        {"name": o.name, "failed": o.failed, "log": str(o.log), "error": o.error} for o in outcomes
    ]
