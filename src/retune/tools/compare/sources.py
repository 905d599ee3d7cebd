"""Where the scores of a system come from: a predictions file, or runs of the main pipeline."""

import re
import statistics
from argparse import Namespace
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from retune.core.errors import RetuneError, listed
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.score.question_scores import (
    QuestionScore,
    as_question_score,
    read_question_scores,
)
from retune.tasks.task import costs, main_task
from retune.tools.compare.folds import pooled
from retune.tools.compare.predictions import read_answers, read_gold, score_answers
from retune.tools.compare.systems import System
from retune.tools.experiments.experiments import DRAW, FEW_SHOT, FOLD, SEED, runs_of
from retune.tools.experiments.listing import Ref, experiments, read_row, revision

#: The name of the last run, whose scores are in the workspace.
WORKSPACE = "workspace"
#: What the stages score and validate write.
SCORES = Path("data/qa/scores/questions.jsonl")
VALIDATION_SCORES = Path("data/qa/validation_scores/questions.jsonl")


class Sources:
    """Reads systems by their names on a command line.

    A name is `workspace`, a predictions file, an experiment, the common name of experiments that
    differ by seed, fold or draw, or a commit. `NAME=ONE,OTHER` is a system with several runs.
    Experiments of this commit go before those of other commits, and newer ones before older ones.

    Attributes:
        tested: whether a system was read that the main pipeline scored.
    """

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments
        self.tested = False

    def read(self, name: str) -> System:
        """Read a system.

        Raises:
            RetuneError: there is nothing of that name, or it has no scores.
        """
        label, parts = self._split(name)
        named = [part for part in parts.split(",") if part]
        if not named:
            raise RetuneError(f"{name!r} names no system; see `retune compare --help`")
        runs = [run for part in named for run in self._runs(part)]
        is_file = (self._arguments.folder / named[0]).is_file()
        merged = _merged(label or (Path(named[0]).stem if is_file else named[0]), runs)
        return pooled(merged)

    def _split(self, name: str) -> tuple[str, str]:
        """Return the label, which may be missing, and the runs."""
        label, equals, parts = name.partition("=")
        folder = self._arguments.folder
        if not equals or (folder / name).is_file():
            return "", name
        # Files need no DVC, which would list the experiments.
        are_files = all((folder / part).is_file() for part in parts.split(","))
        is_experiment = not are_files and name in self._refs
        return ("", name) if is_experiment else (label, parts)

    @cached_property
    def _refs(self) -> dict[str, Ref]:
        every = sorted(experiments(all_commits=True), key=lambda ref: (self._here(ref), ref.time))
        return {ref.name: ref for ref in every if ref.state is None}

    def _here(self, ref: Ref) -> bool:
        return self._head is not None and ref.baseline == self._head.commit

    @cached_property
    def _head(self) -> Ref | None:
        return revision("HEAD")

    @cached_property
    def _gold(self) -> list[Example]:
        return read_gold(self._arguments.data, squad_v2=self._arguments.squad_v2)

    def _runs(self, name: str) -> list[System]:
        path = self._arguments.folder / name
        if path.is_file():
            return [self._from_file(path)]
        self.tested = True
        if name == WORKSPACE:
            return [_system(name, read_question_scores(SCORES), scored_row(Ref(name, "", "")))]
        refs = self.refs(name)
        return [_system(ref.name, scores_of(ref), scored_row(ref)) for ref in refs]

    def refs(self, name: str, *, folds: bool = False) -> list[Ref]:
        """Return an experiment, or those that differ by seed, fold or draw, or else a commit.

        With `folds`, runs in folds go before the experiment that has the name itself.

        Raises:
            RetuneError: there is nothing of that name.
        """
        of_a_run = runs_of(name)
        every = [*self._refs.values()]
        in_folds = re.compile(rf"{re.escape(name)}-fold=\d+of\d+(-seed=\d+)?")
        for refs in ([*filter(self._here, every)], every):
            if folds and (runs := [ref for ref in refs if in_folds.fullmatch(ref.name)]):
                return runs
            if name in (ref.name for ref in refs):
                return [self._refs[name]]
            if runs := [ref for ref in refs if of_a_run.fullmatch(ref.name)]:
                return runs
        if commit := revision(name):
            return [commit]
        raise RetuneError(
            f"{name}: no predictions file, experiment or commit of that name; experiments: "
            f"{listed(sorted(self._refs)) or 'none'}"
        )

    def _from_file(self, path: Path) -> System:
        arguments = self._arguments
        if arguments.data is None:
            raise RetuneError(f"{path}: a predictions file needs its questions; give --data FILE")
        scored = score_answers(
            read_answers(path),
            self._gold,
            squad_v2=arguments.squad_v2,
            normalizer=arguments.normalizer,
            missing=arguments.missing,
        )
        rules = {"qa.squad_v2": arguments.squad_v2, "qa.score.normalizer": arguments.normalizer}
        return System(path.stem, [scored.questions], rules=rules)


def scored_row(ref: Ref) -> dict[str, Any]:
    """Read params and figures of a run.

    Raises:
        RetuneError: the scores beside it are not its own.
    """
    row = read_row(ref)
    if not row["scored"]:
        again = "run it again without --stage" if ref.baseline else "`dvc repro` scores them"
        raise RetuneError(
            f"{ref.name}: its settings were not scored on test, because the run ended with an "
            f"earlier stage or params.yaml changed later; {SCORES} is of other settings; {again}"
        )
    return row


def _system(name: str, questions: Sequence[QuestionScore], row: dict[str, Any]) -> System:
    task, seed = main_task(), row.get(SEED)
    spent = {key: row.get(task.key(key)) for key in costs()}
    is_draw = bool(FEW_SHOT.fullmatch(name))
    return System(
        name,
        [questions],
        [int(seed) if seed is not None else None],
        {key: value for key, value in spent.items() if value is not None},
        {rule: row[rule] for rule in task.rules if rule in row},
        # All draws of a protocol are in one fold, which is then all that is scored.
        [None if is_draw else row.get(FOLD)],
        [int(row[DRAW]) if is_draw else None],
    )


def _merged(name: str, runs: Sequence[System]) -> System:
    """Return one system with the runs of all, and their mean costs.

    Raises:
        RetuneError: the runs were scored by different rules.
    """
    for run in runs[1:]:
        if run.rules != runs[0].rules:
            raise RetuneError(
                f"{name}: its runs {runs[0].name} and {run.name} were scored by different rules: "
                f"{dict(runs[0].rules)}, {dict(run.rules)}"
            )
    names = [key for key in runs[0].costs if all(key in run.costs for run in runs)]
    return System(
        name,
        [questions for run in runs for questions in run.runs],
        [seed for run in runs for seed in run.seeds],
        {key: statistics.fmean(run.costs[key] for run in runs) for key in names},
        runs[0].rules,
        [fold for run in runs for fold in run.folds],
        [draw for run in runs for draw in run.draws],
    )


def scores_of(ref: Ref, path: Path = SCORES) -> list[QuestionScore]:
    """Read the scores of a commit's run from DVC's cache, or from its remote storage.

    Args:
        ref: the commit.
        path: of the scores, in the project.

    Raises:
        RetuneError: they are in neither.
    """
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc_data.index.index import DataIndexDirError

    try:
        text = dvc.api.read(path.as_posix(), rev=ref.commit, encoding="utf-8")
    except (DvcException, DataIndexDirError, OSError) as error:
        raise RetuneError(
            f"{ref.name}: the scores of its questions ({path}) are not in DVC's cache; run the "
            f"experiment again, or `dvc pull` ({' '.join(str(error).split())[:200]})"
        ) from None
    return [as_question_score(orjson.loads(line)) for line in text.splitlines()]


def fetch_folders(ref: Ref, folders: Sequence[Path], out: Path) -> None:
    """Copy folders of a commit's run from DVC's cache, or from its remote storage.

    Args:
        ref: the commit.
        folders: in the project.
        out: a new folder that gets them by their names.

    Raises:
        RetuneError: they are in neither.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc_data.index.index import DataIndexDirError

    files = DVCFileSystem(rev=ref.commit)
    out.mkdir(parents=True)
    for folder in folders:
        try:
            files.get(folder.as_posix(), str(out / folder.name), recursive=True)
        except (DvcException, DataIndexDirError, OSError) as error:
            raise RetuneError(
                f"{ref.name}: {folder} of this run is not in DVC's cache; run the experiment "
                f"again, or `dvc pull` ({' '.join(str(error).split())[:200]})"
            ) from None
