"""The experiments of a pipeline, read from git: state, params, figures, and scored data."""

import contextlib
import json
import subprocess
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml import YAMLError

from retune.core import checked_yaml
from retune.core.errors import RetuneError, listed
from retune.core.yaml_files import flatten
from retune.tables.metrics_files import figures_of, scored_splits
from retune.tasks.task import main_task
from retune.tools.experiments import leftovers
from retune.tools.experiments.experiments import CURVE, FEW_SHOT, MODEL, RANKING
from retune.tools.experiments.table import Row, keys, metrics_files
from retune.tools.project import locks

_REFS = "refs/exps/"
#: What reading a damaged file raises.
_DAMAGED = (
    AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError, YAMLError
)  # fmt: skip


@dataclass(frozen=True)
class Ref:
    """An experiment in git.

    Attributes:
        name: of the experiment.
        commit: with its params, and its metrics if it has ended well. Empty if it runs in the
            workspace.
        baseline: the commit that it began from.
        state: None if it has ended well, otherwise running, queued, failed or killed.
        time: of its commit, in seconds.
    """

    name: str
    commit: str
    baseline: str
    state: str | None = None
    time: int = 0


def experiment_rows(names: Sequence[str] = (), *, all_commits: bool = False) -> list[Row]:
    """Return table rows of experiments, grouped by scored data, best first in each group."""
    refs = sorted(experiments(names, all_commits=all_commits), key=lambda ref: -ref.time)
    rows = [read_row(ref) for ref in refs]
    groups = list(dict.fromkeys(row["data"] for row in rows if row["state"] is None))
    shown = ("name", "state", "scored", "data", MODEL, *keys())
    rows = [{key: row.get(key) for key in shown} for row in rows]
    return sorted(rows, key=lambda row: _place(row, groups))


def experiments(names: Sequence[str] = (), *, all_commits: bool = False) -> list[Ref]:
    """Return the experiments of the pipeline in this folder, the finished ones first.

    Args:
        names: the only experiments.
        all_commits: also experiments of earlier commits.

    Raises:
        RetuneError: one of `names` is not there.
    """
    head = _head()
    refs = [ref for ref in (*_refs(), *unfinished()) if all_commits or ref.baseline == head]
    own = [ref for ref in refs if ref.state or _is_own(ref)]
    found = {ref.name for ref in own}
    if missing := [name for name in names if name not in found]:
        raise RetuneError(
            f"no experiment {', '.join(missing)} on this commit; there are: "
            f"{', '.join(sorted(found)) or 'none'}{elsewhere(missing)}"
        )
    return [ref for ref in own if not names or ref.name in names]


def curve_runs() -> dict[str, Ref]:
    """Return the finished runs of `retune curve` of all commits, by name."""
    return {ref.name: ref for ref in _refs() if CURVE.fullmatch(ref.name)}


def few_shot_runs() -> dict[str, Ref]:
    """Return the finished runs of `retune few-shot` of all commits, by name."""
    return {ref.name: ref for ref in _refs() if FEW_SHOT.fullmatch(ref.name)}


def file_of(ref: Ref, path: str) -> str:
    """Return the text of an experiment's file, or nothing if it is not there."""
    if not ref.commit:
        return Path(path).read_text(encoding="utf-8")
    return _git("show", f"{ref.commit}:./{path}")


def revision(name: str) -> Ref | None:
    """Return a commit of git by any name that git knows; None if there is none."""
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return Ref(name, commit.strip(), "") if commit else None


def unfinished() -> list[Ref]:
    """Return the running, queued and failed experiments of the DVC project in this folder.

    What DVC kept of a killed one is removed. So that it is shown once, its baseline is HEAD.
    """
    dead = leftovers.killed(Path())
    killed = {one.name: Ref(one.name, one.note.name, _head(), "killed") for one in dead}
    refs = [killed.pop(ref.name, ref) for ref in _known_to_dvc()]
    leftovers.remove(dead)
    return [*killed.values(), *refs]


def _known_to_dvc() -> list[Ref]:
    """Return the experiments that DVC takes for unfinished or failed."""
    if not leftovers.may_be_unfinished(Path()):
        return []
    from dvc.repo import Repo  # takes longer than everything else

    with Repo() as repo:
        experiments = repo.experiments
        in_workspace = experiments.workspace_queue.collect_active_data(None)
        temporary, queue = experiments.tempdir_queue, experiments.celery_queue
        by_state = {
            "running": [*temporary.iter_active(), *queue.iter_active()],
            "queued": [*queue.iter_queued()],
            "failed": [done.entry for done in queue.iter_failed()],
        }
    here = [
        Ref(run.name, "", base, "running") for base, runs in in_workspace.items() for run in runs
    ]
    return here + [
        Ref(str(entry.name or entry.stash_rev[:7]), entry.stash_rev, entry.baseline_rev, state)
        for state, found in by_state.items()
        for entry in found
    ]


def read_row(ref: Ref) -> Row:
    """Return name, state, scored data, params and figures of an experiment.

    One that has not ended well has no figures. `scored` says whether it was scored on test.
    """
    params = _params(ref)
    left_out = _not_its_own(ref, params)
    figures = {} if ref.state else _figures(ref, left_out)
    about = {"name": ref.name, "state": ref.state, "data": scored_data(ref, params)}
    scored = ref.state is None and _scores() not in left_out
    return params | figures | about | {"scored": scored}


def _not_its_own(ref: Ref, params: Mapping[str, Any]) -> set[str]:
    """Return the outs in an experiment's commit that other settings than its own made.

    They are from before the experiment, if it ended with an earlier stage as `retune try` does. Its
    scores are only its own if a stage in its lock made them.
    """
    with contextlib.suppress(*_DAMAGED, RetuneError):
        stages = locks.parse(file_of(ref, "dvc.lock"))["stages"]
        outdated = locks.outs_of_all(stages, locks.outdated_stages(stages, params or None))
        return {*outdated, _scores()} - (locks.outs_of_all(stages, stages) - outdated)
    return {_scores()}


def _scores() -> str:
    """Return the metrics file with the headline scores."""
    return f"metrics/{metrics_files()[0]}"


def _params(ref: Ref) -> Row:
    """Return the values in an experiment's params.yaml by dotted name, none if it is damaged."""
    for parse in (locks.parse, checked_yaml.parse):  # the second one is slow, but reads aliases
        with contextlib.suppress(*_DAMAGED):
            return dict(flatten(parse(file_of(ref, "params.yaml"))))
    return {}


def _figures(ref: Ref, left_out: Container[str]) -> Row:
    """Return the figures in an experiment's metrics files by dotted name."""
    found: Row = {}
    for path in (f"metrics/{name}" for name in metrics_files()):
        with contextlib.suppress(*_DAMAGED):
            found |= {} if path in left_out else figures_of(json.loads(file_of(ref, path)))
    figures = {main_task().key(name): value for name, value in found.items()}
    return {key: figures[key] for key in keys() if isinstance(figures.get(key), int | float)}


def elsewhere(names: Sequence[str] = ()) -> str:
    """Return a sentence on experiments (among `names`) of other commits."""
    head = _head()
    others = [
        ref
        for ref in _refs()
        if ref.baseline != head and (not names or ref.name in names) and _is_own(ref)
    ]
    if not others:
        return ""
    counts = Counter(ref.baseline[:7] for ref in others)
    places = listed([f"{count} on commit {commit}" for commit, count in counts.items()], 5)
    return f"; on earlier commits: {places}. Add --all-commits to include them"


def scored_data(ref: Ref, params: Mapping[str, Any]) -> str:
    """Describe the scored questions of an experiment, and how answers are scored.

    Two experiments with different descriptions cannot be compared.
    """
    split, task = None if ref.state else _recorded_split(ref), main_task()
    chosen = params.get(task.key("dataset"))
    if split:
        files = ", ".join(f"{file['name']} {file['sha256'][:8]}" for file in split["files"])
        questions = f"{split['questions']:,} questions"
        if fold := split.get("fold"):
            questions = f"all questions, in {fold.partition('/')[2]} folds,"
        data = f"{questions} of {chosen} ({files})"
        limit = split.get("limit")
    else:
        settings = [
            f"{key.rpartition('.')[2]} {value}"
            for key, value in params.items()
            if key.startswith(task.key(f"datasets.{chosen}."))
            and not {"train", "validation"} & set(key.replace("_", ".").split("."))
            and value is not None
        ]
        limit = params.get(task.key("download.test_limit"))
        data = ", ".join([f"test split of {chosen}", *settings])
    if limit is not None:
        seed = params.get(task.key("download.sample_seed"))
        data += f", limit {limit}" + (f", seed {seed}" if "sample" in str(limit) else "")
    rules = sorted(f"{rule.rpartition('.')[2]} {params.get(rule)}" for rule in task.rules)
    return ", ".join([data, *rules])


def _recorded_split(ref: Ref) -> Any:
    """Return the scored split that an experiment's download stage recorded."""
    try:
        (split,) = scored_splits(recorded_splits(ref))
        return split
    except _DAMAGED:
        return None


def recorded_splits(ref: Ref) -> list[dict[str, Any]]:
    """Return what an experiment's download stage recorded of each split."""
    section = main_task().section
    text = file_of(ref, f"metrics/{section}_download.json")
    splits: list[dict[str, Any]] = json.loads(text)[section]["download"]
    return splits


def _is_own(ref: Ref) -> bool:
    """Return whether a finished experiment belongs to the pipeline in this folder.

    An experiment belongs to the pipeline whose lock or params it changed.
    """
    changed = _git("diff", "--name-only", ref.baseline, ref.commit).splitlines()
    folders = {
        Path(path).parent for path in changed if Path(path).name in {"dvc.lock", "params.yaml"}
    }
    return not folders or Path(_git("rev-parse", "--show-prefix").strip()) in folders


def _refs() -> Iterator[Ref]:
    """Yield the finished experiments of all commits and pipelines."""
    form = "%(refname) %(objectname) %(committerdate:unix)"
    for line in _git("for-each-ref", f"--format={form}", _REFS).splitlines():
        path, commit, time = line.split(" ")
        first, second, name = [*path.removeprefix(_REFS).split("/", 2), "", ""][:3]
        if len(first + second) == 40 and name:
            yield Ref(name, commit, first + second, time=int(time))


def _head() -> str:
    return _git("rev-parse", "HEAD").strip()


def _git(*arguments: str) -> str:
    """Return git's output, or nothing if it fails, as outside a repository."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout


def _place(row: Row, groups: Sequence[str]) -> tuple[bool, int, float]:
    ended = row["state"] is None
    return not ended, groups.index(row["data"]) if ended else 0, -(row[RANKING] or 0.0)
