"""The commands `check`, `sweep`, `why` and `diff`."""

import contextlib
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from retune.tools.cli import tables
from retune.tools.cli.application import AS_JSON, PIPELINE, RESULTS, RUNS, command
from retune.tools.project.workspace import inside_pipeline, inside_project, sister

if TYPE_CHECKING:
    from retune.tools.experiments.sweep import Outcome


@command(RUNS, "retune check --pipeline sentiment")
def check(pipeline: Annotated[str | None, PIPELINE] = None) -> int:
    """Validate params.yaml before anything runs.

    Reads every section of params.yaml as the stages do, for every variant, and prints all
    problems. No stage runs, and no output is removed.
    """
    from retune.preflight.validation import require_valid

    with inside_project(Namespace(), outermost=bool(pipeline)):
        folder = sister(pipeline) if pipeline else Path()
        count = require_valid(folder)
    print(f"{folder / 'params.yaml'}: valid ({count} combinations of stage and variant checked)")
    return 0


@command(RUNS, "retune sweep qa.model=bert,lstm --seeds 1,2,3")
def sweep(
    what: Annotated[
        list[str],
        Argument(
            metavar="NAME|KEY=VALUE,...",
            help="A named experiment, or the values to try for a param.",
            show_default=False,
        ),
    ],
    seeds: Annotated[
        str | None,
        Option(metavar="N,N,...", help="Run each experiment with each seed and print the spread."),
    ] = None,
    folds: Annotated[
        str | None,
        Option(metavar="N", help="Run each experiment in each of N folds of the articles."),
    ] = None,
    pipeline: Annotated[str | None, PIPELINE] = None,
    stage: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Run only this stage and those it needs (repeatable)."),
    ] = None,
    replace: Annotated[bool, Option("--replace", help="Run finished experiments again.")] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Run experiments one after the other.

    Runs named experiments (experiments/NAME.yaml) and every combination of KEY=VALUE,VALUE. Each
    runs in a clean copy of the project and logs to logs/NAME.log. If one fails, the others still
    run.
    """
    from retune.core.errors import RetuneError

    with inside_project(Namespace(), outermost=bool(pipeline)):
        outcomes = _outcomes(what, seeds, folds, pipeline, stage or [], replace=replace)
        with contextlib.chdir(sister(pipeline) if pipeline else Path()):
            _print_sweep(outcomes, _runs_of_each(seeds, folds), as_json)
    failed = [outcome for outcome in outcomes if outcome.failed]
    done = len(outcomes) - len(failed)
    print(f"{done} of {len(outcomes)} experiments done", file=sys.stderr)
    if failed:
        logs = "\n".join(_failure(outcome) for outcome in failed)
        raise RetuneError(f"{len(failed)} of {len(outcomes)} experiments failed:\n{logs}")
    return 0


@command(RUNS, "retune why train && retune why --pipeline sentiment train@bert-1234")
def why(
    stage: Annotated[
        str | None, Argument(metavar="STAGE", help="A stage, as in dvc.lock or dvc.yaml.")
    ] = None,
    pipeline: Annotated[str | None, PIPELINE] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Print why a stage would run again.

    Names the modules, params, library versions and data that changed since the last run in
    dvc.lock, so that `dvc repro` would run the stage again. Without STAGE, prints one line for each
    stage. No stage runs. For outputs and data above 16 MB, only sizes and the sums in dvc.lock are
    compared.
    """
    from retune.tools.why.command import run

    with inside_pipeline(Namespace(pipeline=pipeline)):
        return run(stage, as_json=as_json)


@command(RESULTS, "retune diff main")
def diff(
    base: Annotated[
        str, Argument(metavar="BASE", help="A commit, or a folder with another checkout.")
    ],
) -> int:
    """Print the figures that changed, as Markdown.

    Compares the metrics of the last run with those of BASE. Prints EM and F1 and at most 25 figures
    that changed, without times. Where the environments differ, each figure has the verdict of
    `retune verify`.
    """
    from retune.tools.verify.changes import run

    return run(Namespace(base=base))


def _outcomes(
    what: list[str],
    seeds: str | None,
    folds: str | None,
    pipeline: str | None,
    stages: list[str],
    *,
    replace: bool,
) -> "list[Outcome]":
    from retune.preflight.validation import PARAMS
    from retune.tools.experiments.experiments import FOLDER, SEED
    from retune.tools.experiments.grid import parse_folds, planned, seed_of
    from retune.tools.experiments.sweep import cost_note, sweep

    folder = sister(pipeline) if pipeline else Path()
    has_params = (folder / PARAMS).is_file()  # `sweep` reports a missing one
    seed_param = seed_of(folder / PARAMS) if seeds and has_params else SEED
    count = parse_folds(folds, folder / PARAMS) if folds and has_params else None
    experiments = planned(what, seeds, folder / FOLDER, seed_param, count)
    if not pipeline and (note := cost_note(len(experiments))):
        print(note, file=sys.stderr)
    return sweep(experiments, replace=replace, pipeline=folder if pipeline else None, stages=stages)


def _failure(outcome: "Outcome") -> str:
    from textwrap import indent

    return f"  {outcome.name}: see {outcome.log}\n{indent(outcome.error, '    ')}".rstrip()


def _runs_of_each(seeds: str | None, folds: str | None) -> int:
    """Return how many runs each experiment has; 0 without seeds and folds."""
    if not seeds and not folds:
        return 0
    return len((seeds or "1").split(",")) * int(folds or 1)


def _print_sweep(outcomes: "Sequence[Outcome]", runs: int, as_json: bool) -> None:
    """With several runs of each experiment, print the spread of those that succeeded."""
    from retune.tools.experiments.sweep import outcomes_as_json

    done = [outcome.name for outcome in outcomes if not outcome.failed]
    variants = tables.folded(done) if runs and done else []
    if as_json:
        ended = outcomes_as_json(outcomes)
        tables.print_json({"outcomes": ended} | tables.spread_as_json(variants) if runs else ended)
    elif variants and runs:
        tables.print_spread(variants, asked=runs)
