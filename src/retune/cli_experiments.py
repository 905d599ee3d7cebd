"""The commands of `retune` that run and compare experiments: sweep, table, check, diff."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retune.workspace import inside_project, project_top

if TYPE_CHECKING:
    from retune.folding import Variant
    from retune.sweep import Outcome


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add them to the parser."""
    _add_sweep(commands)
    _add_table(commands)
    _add_check(commands)
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


def _add_table(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "table",
        help="print the headline figures",
        description="Print EM, F1 and costs of the workspace or of experiments.",
        epilog="Example: retune table --experiments --json",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments (default: all)")
    parser.add_argument("--experiments", action="store_true", help="not the workspace's figures")
    parser.add_argument("--seeds", action="store_true", help="fold those that differ by seed")
    parser.add_argument(
        "--all-commits", action="store_true", help="experiments of earlier commits, too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_table, failure=1)


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
    with inside_project(arguments):
        return _run_sweep(arguments)


def _run_sweep(arguments: argparse.Namespace) -> int:
    from retune.errors import RetuneError
    from retune.experiments import FOLDER
    from retune.grid import planned
    from retune.sweep import sister, sweep

    if arguments.pipeline and arguments.seeds:
        raise RetuneError("--seeds folds figures of the main pipeline only: give qa.seed=1,2,3")
    pipeline = sister(arguments.pipeline) if arguments.pipeline else None
    experiments = planned(arguments.what, arguments.seeds, (pipeline or Path()) / FOLDER)
    outcomes = sweep(
        experiments, replace=arguments.replace, pipeline=pipeline, stages=arguments.stage
    )
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
    from retune import folding
    from retune.sweep import outcomes_as_json

    done = [outcome.name for outcome in outcomes if not outcome.failed]
    variants = _folded(done) if seeds and done else []
    if as_json:
        ended = outcomes_as_json(outcomes)
        _print_json({"outcomes": ended} | folding.as_json(variants) if seeds else ended)
    elif variants and seeds:
        folding.report(variants, asked=len(seeds.split(",")))


def _table(arguments: argparse.Namespace) -> int:
    with inside_project(arguments):
        return _print_figures(arguments)


def _print_figures(arguments: argparse.Namespace) -> int:
    from retune import folding
    from retune.listing import elsewhere, experiment_rows
    from retune.table import render, workspace_row

    names, every = arguments.names, arguments.all_commits
    top = project_top(outermost=True)
    is_sister = top is not None and top != Path.cwd() and Path("dvc.yaml").is_file()
    if top and is_sister and not (names or every or arguments.experiments):
        from retune.report.headline import print_results

        print_results(top, Path.cwd().relative_to(top), as_json=arguments.json)
        return 0
    if arguments.seeds:
        variants = _folded(names, all_commits=every)
        count = len(variants)
        if arguments.json:
            _print_json(folding.as_json(variants))
        elif variants:
            folding.report(variants)
    else:
        listed = arguments.experiments or names or every
        rows = experiment_rows(names, all_commits=every) if listed else [workspace_row()]
        count = len(rows)
        if rows or arguments.json:
            render(rows, arguments.json)
    if not count:
        print(f"no experiments on this commit{elsewhere()}", file=sys.stderr)
    return 0


def _folded(names: "Sequence[str]", *, all_commits: bool = False) -> "list[Variant]":
    """The experiments that have ended, folded by seed."""
    from retune import folding
    from retune.experiments import parameter_names
    from retune.listing import DONE, shown_experiments

    shown = shown_experiments(names, all_commits=all_commits)
    return folding.fold([row for row in shown if row.get("State") in DONE], parameter_names())


def _check(arguments: argparse.Namespace) -> int:
    from retune.sweep import sister
    from retune.validation import require_valid

    with inside_project(arguments):
        folder = sister(arguments.pipeline) if arguments.pipeline else Path()
        count = require_valid(folder)
    print(f"{folder / 'params.yaml'}: valid for all {count} readings of its stages")
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from retune.verify.changes import run

    return run(arguments)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))
