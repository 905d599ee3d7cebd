"""The command `retune table`, and the spread over seeds that `retune sweep` prints as well."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.tools.project.workspace import inside_pipeline, sister_place

if TYPE_CHECKING:
    from retune.stats.seed_spread import Variant
    from retune.tools.experiments.listing import Ref
    from retune.tools.report.experiments import Result


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add it to the parser."""
    parser = commands.add_parser(
        "table",
        help="print the headline figures",
        description=(
            "Print EM, F1 and costs of the workspace or of experiments; of a sister pipeline, its "
            "own headline figures by variant."
        ),
        epilog="Example: retune table --experiments --json",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments (default: all)")
    parser.add_argument("--experiments", action="store_true", help="not the workspace's figures")
    parser.add_argument("--seeds", action="store_true", help="fold those that differ by seed")
    parser.add_argument(
        "--all-commits", action="store_true", help="experiments of earlier commits, too"
    )
    parser.add_argument(
        "--pipeline", metavar="NAME", help="of pipelines/NAME, as in that folder without it"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_table, failure=1)


def _table(arguments: argparse.Namespace) -> int:
    with inside_pipeline(arguments):
        place = sister_place()
        listed = arguments.experiments or arguments.names or arguments.all_commits
        if arguments.seeds:
            count = _print_seeds(arguments)
        elif place:
            count = _print_sister(arguments, *place, listed=bool(listed))
        else:
            count = _print_rows(arguments, listed=bool(listed))
        if not count:
            from retune.tools.experiments.listing import elsewhere

            print(f"no experiments on this commit{elsewhere()}", file=sys.stderr)
    return 0


def _print_rows(arguments: argparse.Namespace, *, listed: bool) -> int:
    from retune.tools.experiments.listing import experiment_rows
    from retune.tools.experiments.table import render, workspace_row

    names, every = arguments.names, arguments.all_commits
    rows = experiment_rows(names, all_commits=every) if listed else [workspace_row()]
    if rows or arguments.json:
        render(rows, arguments.json)
    return len(rows)


def _print_sister(arguments: argparse.Namespace, top: Path, folder: Path, *, listed: bool) -> int:
    from retune.tools.experiments.listing import finished, unfinished
    from retune.tools.report.experiments import as_data, print_experiments
    from retune.tools.report.headline import print_results

    if not listed:
        print_results(top, folder, as_json=arguments.json)
        return 1
    names, every = arguments.names, arguments.all_commits
    states = {name: state for name, state in unfinished().items() if not names or name in names}
    refs = finished(names, all_commits=every, others=states)
    results = _results(top, folder, refs)
    if arguments.json:
        print_json(as_data(results, states))
    else:
        print_experiments(results, states)
    return len(refs) + len(states)


def _results(top: Path, folder: Path, refs: "Sequence[Ref]") -> "list[Result]":
    """The figures of finished experiments; on those without any a note is printed."""
    from retune.tools.report.experiments import read_results

    results, notes = read_results(top, folder, refs)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return results


def _print_seeds(arguments: argparse.Namespace) -> int:
    variants = folded(arguments.names, all_commits=arguments.all_commits)
    if arguments.json:
        print_json(spread_as_json(variants))
    elif variants:
        print_spread(variants)
    return len(variants)


def folded(names: Sequence[str] = (), *, all_commits: bool = False) -> "list[Variant]":
    """The experiments here that have ended, folded by seed."""
    from retune.core.params import parameters
    from retune.tools.experiments import folding
    from retune.tools.experiments.grid import seed_of
    from retune.tools.experiments.listing import DONE, finished, shown_experiments
    from retune.tools.report.experiments import fold_seeds

    if place := sister_place():
        seed_param = seed_of(Path("params.yaml"))
        results = _results(*place, finished(names, all_commits=all_commits))
        return fold_seeds(results, seed_param)
    shown = shown_experiments(names, all_commits=all_commits)
    names_of_params = [*parameters(Path("params.yaml"))]
    return folding.fold([row for row in shown if row.get("State") in DONE], names_of_params)


def print_spread(variants: "Sequence[Variant]", asked: int | None = None) -> None:
    """Print the spread of what `folded` returns; `asked` is how many seeds there should be."""
    from retune.tools.experiments import folding
    from retune.tools.report.experiments import print_seeds

    (print_seeds if sister_place() else folding.report)(variants, asked)


def spread_as_json(variants: "Sequence[Variant]") -> dict[str, Any]:
    """The same for other programs."""
    from retune.tools.experiments import folding
    from retune.tools.report.experiments import seeds_as_data

    return (seeds_as_data if sister_place() else folding.as_json)(variants)


def print_json(value: object) -> None:
    """Print `value` as JSON over several lines."""
    print(json.dumps(value, indent=2))
