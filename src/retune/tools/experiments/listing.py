"""The experiments of a DVC project: figures, state, and the data they were scored on."""

import contextlib
import json
import subprocess
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.tables.metrics_files import figures_of
from retune.tasks.task import main_task
from retune.tools.experiments import leftovers
from retune.tools.experiments.experiments import MODEL, RANKING
from retune.tools.experiments.table import Row, keys, metrics_files
from retune.tools.project.graph import entries, read_stages

DONE = (None, "Success")  # states of an experiment that has ended well
_REFS = "refs/exps/"


@dataclass(frozen=True)
class Ref:
    """A finished experiment in git."""

    name: str
    commit: str
    baseline: str


def experiment_rows(names: Sequence[str] = (), *, all_commits: bool = False) -> list[Row]:
    """Return table rows of experiments, grouped by validation set, best first in each group."""
    rows = [_row(shown) for shown in shown_experiments(names, all_commits=all_commits)]
    groups = list(dict.fromkeys(row["data"] for row in rows if row["state"] is None))
    return sorted(rows, key=lambda row: _place(row, groups))


def shown_experiments(names: Sequence[str] = (), *, all_commits: bool = False) -> list[Row]:
    """Return the experiments that DVC shows for this project: name, state, metrics, params.

    Experiments of other pipelines are left out. An unfinished experiment has no metrics, because
    DVC shows the baseline's. A killed one has the `State` `Killed`, and what DVC kept of it is
    removed. `data` describes what an experiment was scored on.

    Args:
        names: the only experiments; without any, all of them.
        all_commits: also experiments of earlier commits.

    Raises:
        RetuneError: one of `names` is not there.
    """
    import dvc.api

    refs = _refs()
    baselines = sorted({ref.baseline for ref in refs.values()}) or None
    every = dvc.api.exp_show(param_deps=False, **({"revs": baselines} if all_commits else {}))
    dead = leftovers.killed(Path())
    rows = [_plain(row, {leftover.name for leftover in dead}) for row in every]
    rows = [row for row in rows if row.get("Experiment") and _is_own(refs.get(row["Experiment"]))]
    leftovers.remove(dead)
    _require(names, {row["Experiment"] for row in rows})
    chosen = [row for row in rows if not names or row["Experiment"] in names]
    return [_completed(row, refs.get(row["Experiment"])) for row in chosen]


def finished(
    names: Sequence[str] = (), *, all_commits: bool = False, others: Collection[str] = ()
) -> list[Ref]:
    """Return the finished experiments of the pipeline in this folder, read from git.

    Args:
        names: the only experiments; without any, all of them.
        all_commits: those of earlier commits, too.
        others: names of experiments that have not ended.

    Raises:
        RetuneError: one of `names` is in neither.
    """
    head = _git("rev-parse", "HEAD").strip()
    refs = [ref for ref in _refs().values() if all_commits or ref.baseline == head]
    own = {ref.name: ref for ref in refs if _is_own(ref)}
    _require(names, {*own, *others})
    return [ref for name, ref in own.items() if not names or name in names]


def unfinished() -> dict[str, str]:
    """Return the state of each unfinished or failed experiment of this DVC project, by name.

    What DVC kept of killed experiments is removed.
    """
    from dvc.repo import Repo

    dead = leftovers.killed(Path())
    with Repo() as repo:
        temporary, queue = repo.experiments.tempdir_queue, repo.experiments.celery_queue
        states = {_name(entry): "queued" for entry in queue.iter_queued()}
        states |= {_name(done.entry): "failed" for done in queue.iter_failed()}
        running = (*temporary.iter_active(), *queue.iter_active())
        states |= {_name(entry): "running" for entry in running}
    leftovers.remove(dead)
    return states | {leftover.name: "killed" for leftover in dead}


def _name(entry: Any) -> str:
    """Return the name of an entry in DVC's queue, or the start of its commit."""
    return str(entry.name or entry.stash_rev[:7])


def _require(names: Sequence[str], found: Collection[str]) -> None:
    if missing := [name for name in names if name not in found]:
        raise RetuneError(
            f"no experiment {', '.join(missing)} on this commit; there are: "
            f"{', '.join(sorted(found)) or 'none'}{elsewhere(missing)}"
        )


def _completed(row: Row, ref: Ref | None) -> Row:
    """Return a row with its validation data and the figures that DVC's tables omit."""
    figures = _figures(ref.commit) if ref and row.get("State") in DONE else {}
    return row | figures | {"data": validation_data(row, ref)}


def _figures(commit: str) -> Row:
    """Return the figures in a commit's metrics files, by dotted name."""
    found: Row = {}
    for name in metrics_files():
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            found |= figures_of(json.loads(_git("show", f"{commit}:./metrics/{name}")))
    figures = {main_task().key(name): value for name, value in found.items()}
    return {key: figures[key] for key in keys() if key in figures}


def elsewhere(names: Sequence[str] = ()) -> str:
    """Return a sentence on experiments (among `names`) of other commits."""
    head = _git("rev-parse", "HEAD").strip()
    others = [
        ref
        for ref in _refs().values()
        if ref.baseline != head and (not names or ref.name in names) and _is_own(ref)
    ]
    if not others:
        return ""
    counts = Counter(ref.baseline[:7] for ref in others)
    places = listed([f"{count} on commit {commit}" for commit, count in counts.items()], 5)
    return f"; on earlier commits: {places}. Add --all-commits to include them"


def validation_data(row: Mapping[str, Any], ref: Ref | None) -> str:
    """Describe the validation data of an experiment, and how answers are scored.

    Two experiments with different texts here cannot be compared.
    """
    split, task = _recorded_split(ref) if ref else None, main_task()
    chosen = row.get(task.key("dataset"))
    if split:
        files = ", ".join(f"{file['name']} {file['sha256'][:8]}" for file in split["files"])
        data = f"{split['questions']:,} questions of {chosen} ({files})"
        limit = split.get("limit")
    else:
        params = [
            f"{key.rpartition('.')[2]} {value}"
            for key, value in row.items()
            if key.startswith(task.key(f"datasets.{chosen}."))
            and "train" not in key
            and value is not None
        ]
        limit = row.get(task.key("download.validation_limit"))
        data = ", ".join([f"validation split of {chosen}", *params])
    if limit is not None:
        seed = row.get(task.key("download.sample_seed"))
        data += f", limit {limit}" + (f", seed {seed}" if "sample" in str(limit) else "")
    rules = sorted(f"{rule.rpartition('.')[2]} {row.get(rule)}" for rule in task.rules)
    return ", ".join([data, *rules])


def _recorded_split(ref: Ref) -> Any:
    """Return the validation split that an experiment's download stage recorded."""
    path = _download_metrics()
    try:
        splits = json.loads(_git("show", f"{ref.commit}:./{path}"))[main_task().section]["download"]
        (split,) = (split for split in splits if split["split"] == "validation")
        return split
    except (ValueError, KeyError, TypeError):
        return None


def _download_metrics() -> str:
    stages = read_stages(Path()) if Path("dvc.yaml").is_file() else {}
    download = stages.get("download", {})
    outputs = (*entries(download.get("metrics")), *entries(download.get("outs")))
    usual = f"metrics/{main_task().section}_download.json"
    return next((path for path, _ in outputs if path.endswith(".json")), usual)


def _is_own(ref: Ref | None) -> bool:
    """Return whether an experiment belongs to the pipeline in this folder.

    An experiment belongs to the pipeline whose lock or params it changed.
    """
    if ref is None:
        return True
    changed = _git("diff", "--name-only", ref.baseline, ref.commit).splitlines()
    folders = {
        Path(path).parent for path in changed if Path(path).name in {"dvc.lock", "params.yaml"}
    }
    return not folders or Path(_git("rev-parse", "--show-prefix").strip()) in folders


def _refs() -> dict[str, Ref]:
    """Return the experiments of all commits, by name."""
    listing = _git("for-each-ref", "--format=%(refname) %(objectname)", _REFS).splitlines()
    return {ref.name: ref for ref in _parsed(listing)}


def _parsed(listing: Sequence[str]) -> Iterator[Ref]:
    for line in listing:
        path, _, commit = line.partition(" ")
        first, _, rest = path.removeprefix(_REFS).partition("/")
        second, _, name = rest.partition("/")
        if len(first + second) == 40 and name:
            yield Ref(name, commit, first + second)


def _git(*arguments: str) -> str:
    """Return git's output, or nothing if it fails, as outside a repository."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout


def _plain(row: Row, dead: set[str]) -> Row:
    """Return a row without the columns of sister pipelines and without the baseline's figures.

    DVC puts the file in front of a name that stands in several files, as in
    `params.yaml:qa.model`.
    """
    own = {key: value for key, value in row.items() if not key.startswith("pipelines/")}
    plain = {key.rpartition(":")[2]: value for key, value in own.items()}
    if plain.get("Experiment") in dead:
        plain["State"] = "Killed"
    if plain.get("State") not in DONE:
        plain |= dict.fromkeys(keys())
    return plain


def _row(shown: Mapping[str, Any]) -> Row:
    state = shown.get("State")
    about = {
        "name": shown["Experiment"],
        "state": None if state in DONE else str(state).lower(),
        "data": shown["data"],
        MODEL: shown.get(MODEL),
    }
    return about | {key: _number(shown.get(key)) for key in keys()}


def _number(value: Any) -> float | None:
    """Return the value if it is a number; DVC writes `!` for a file that it cannot read."""
    return value if isinstance(value, int | float) else None


def _place(row: Row, groups: Sequence[str]) -> tuple[bool, int, float]:
    ended = row["state"] is None
    return not ended, groups.index(row["data"]) if ended else 0, -(row[RANKING] or 0.0)
