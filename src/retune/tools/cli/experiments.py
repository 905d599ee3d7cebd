"""The commands of `retune` that run and compare experiments: sweep, table, check, why, diff."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retune.tools.cli import tables
from retune.tools.project.workspace import inside_pipeline, inside_project, sister

if TYPE_CHECKING:
    from retune.tools.experiments.sweep import Outcome


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add them to the parser."""
    _add_sweep(commands)
    tables.add_command(commands)
    _add_check(commands)
    _add_why(commands)
    _add_diff(commands)


def _add_sweep(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "sweep",
        help="run experiments one after the other",
        description=(
            "Run named experiments (experiments/NAME.yaml), and every combination of "
            "KEY=VALUE,VALUE, one after the other. Each runs in a clean copy of the project, "
            "goes on after a failure of another, and logs to logs/NAME.log."
        ),
        epilog="Example: retune sweep qa.model=bert,lstm --seeds 1,2,3",
    )
    parser.add_argument("what", nargs="+", metavar="NAME|KEY=VALUE,...")
    parser.add_argument(
        "--seeds", metavar="N,N,...", help="run each with each seed, and print the spread"
    )
    parser.add_argument(
        "--pipeline", metavar="NAME", help="run pipelines/NAME, with the experiments in there"
    )
    parser.add_argument(
        "--stage",
        action="append",
        default=[],
        metavar="NAME",
        help="run only this one, and what it needs (repeatable)",
    )
    parser.add_argument("--replace", action="store_true", help="run again what is there already")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    parser.set_defaults(run=_sweep, failure=1)


def _add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "check",
        help="validate params.yaml before anything runs",
        description=(
            "Read every section of params.yaml as the stages do, for every variant, and print all "
            "problems. No stage runs, and no output is removed."
        ),
        epilog="Example: retune check --pipeline sentiment",
    )
    parser.add_argument("--pipeline", metavar="NAME", help="of pipelines/NAME")
    parser.set_defaults(run=_check, failure=1)


def _add_why(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "why",
        help="print why a stage would run again",
        description=(
            "Name the modules, params, library versions and data that differ from the last run "
            "in dvc.lock, because of which `dvc repro` would run a stage again. Without STAGE, "
            "print one line for each stage. No stage runs. Of outputs and data above 16 MB only "
            "sizes and the sums in dvc.lock are compared."
        ),
        epilog="Example: retune why train && retune why --pipeline sentiment train@bert-1234",
    )
    parser.add_argument("stage", nargs="?", metavar="STAGE", help="as dvc.lock or dvc.yaml has it")
    parser.add_argument("--pipeline", metavar="NAME", help="of pipelines/NAME")
    parser.add_argument("--json", action="store_true", help="print all reasons as JSON")
    parser.set_defaults(run=_why, failure=1)


def _add_diff(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "diff",
        help="print the figures that have changed, as Markdown",
        description=(
            "Compare the metrics of the last run with those of BASE, a commit or a folder with "
            "another checkout. Print EM and F1, and at most 25 figures that changed. "
            "Times are left out. Where the environments differ, each figure has the verdict of "
            "`retune verify`."
        ),
        epilog="Example: retune diff main",
    )
    parser.add_argument("base", metavar="BASE", help="a commit, or a folder")
    parser.set_defaults(run=_diff, failure=2)


def _sweep(arguments: argparse.Namespace) -> int:
    with inside_project(arguments, outermost=bool(arguments.pipeline)):
        return _run_sweep(arguments)


def _run_sweep(arguments: argparse.Namespace) -> int:
    from retune.core.errors import RetuneError
    from retune.preflight.validation import PARAMS
    from retune.tools.experiments.experiments import FOLDER, SEED
    from retune.tools.experiments.grid import planned, seed_of
    from retune.tools.experiments.sweep import sweep

    pipeline = sister(arguments.pipeline) if arguments.pipeline else None
    folder = pipeline or Path()
    has_params = (folder / PARAMS).is_file()  # without any, `sweep` says so
    seed_param = seed_of(folder / PARAMS) if arguments.seeds and has_params else SEED
    experiments = planned(arguments.what, arguments.seeds, folder / FOLDER, seed_param)
    outcomes = sweep(
        experiments, replace=arguments.replace, pipeline=pipeline, stages=arguments.stage
    )
    with contextlib.chdir(folder):
        _print_sweep(outcomes, arguments.seeds, arguments.json)
    failed = [outcome for outcome in outcomes if outcome.failed]
    done = len(outcomes) - len(failed)
    print(f"{done} of {len(outcomes)} experiments done", file=sys.stderr)
    if failed:
        logs = "\n".join(_failure(outcome) for outcome in failed)
        raise RetuneError(f"{len(failed)} of {len(outcomes)} experiments failed:\n{logs}")
    return 0


def _failure(outcome: "Outcome") -> str:
    from textwrap import indent

    return f"  {outcome.name}: see {outcome.log}\n{indent(outcome.error, '    ')}".rstrip()


def _print_sweep(outcomes: "Sequence[Outcome]", seeds: str | None, as_json: bool) -> None:
    """With seeds, fold the runs that ended well."""
    from retune.tools.experiments.sweep import outcomes_as_json

    done = [outcome.name for outcome in outcomes if not outcome.failed]
    variants = tables.folded(done) if seeds and done else []
    if as_json:
        ended = outcomes_as_json(outcomes)
        tables.print_json({"outcomes": ended} | tables.spread_as_json(variants) if seeds else ended)
    elif variants and seeds:
        tables.print_spread(variants, asked=len(seeds.split(",")))


def _check(arguments: argparse.Namespace) -> int:
    from retune.preflight.validation import require_valid

    with inside_project(arguments, outermost=bool(arguments.pipeline)):
        folder = sister(arguments.pipeline) if arguments.pipeline else Path()
        count = require_valid(folder)
    print(f"{folder / 'params.yaml'}: valid for all {count} readings of its stages")
    return 0


def _why(arguments: argparse.Namespace) -> int:
    from retune.tools.why.command import run

    with inside_pipeline(arguments):
        return run(arguments.stage, as_json=arguments.json)


def _diff(arguments: argparse.Namespace) -> int:
    from retune.tools.verify.changes import run

    return run(arguments)
