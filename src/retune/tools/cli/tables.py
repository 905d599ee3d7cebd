"""The command `retune table`, and the spread over seeds that `retune sweep` prints as well."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from retune.tools.cli.application import AS_JSON, PIPELINE, RESULTS, command
from retune.tools.project.workspace import inside_pipeline, sister_place

if TYPE_CHECKING:
    from retune.stats.seed_spread import Variant
    from retune.tools.experiments.listing import Ref
    from retune.tools.report.sister_experiments import Result


@command(RESULTS, "retune table --experiments --json")
def table(
    names: Annotated[
        list[str] | None, Argument(metavar="NAME", help="Experiments (default: all).")
    ] = None,
    experiments: Annotated[
        bool, Option("--experiments", help="List experiments, not the workspace's figures.")
    ] = False,
    seeds: Annotated[
        bool, Option("--seeds", help="Merge experiments that differ only by seed.")
    ] = False,
    all_commits: Annotated[
        bool, Option("--all-commits", help="Include experiments of earlier commits.")
    ] = False,
    pipeline: Annotated[str | None, PIPELINE] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Print the headline figures.

    Prints EM, F1 and costs of the workspace or of experiments. For a pipeline in pipelines/, prints
    its own headline figures by variant.
    """
    listed, names = bool(experiments or names or all_commits), names or []
    with inside_pipeline(Namespace(pipeline=pipeline)):
        if seeds:
            count = _print_seeds(names, all_commits=all_commits, as_json=as_json)
        elif place := sister_place():
            count = _print_sister(
                *place, names, all_commits=all_commits, listed=listed, as_json=as_json
            )
        else:
            count = _print_rows(names, all_commits=all_commits, listed=listed, as_json=as_json)
        if not count:
            from retune.tools.experiments.listing import elsewhere

            print(f"no experiments on this commit{elsewhere()}", file=sys.stderr)
    return 0


def _print_rows(names: Sequence[str], *, all_commits: bool, listed: bool, as_json: bool) -> int:
    from retune.tools.experiments.listing import experiment_rows
    from retune.tools.experiments.table import render, workspace_row

    rows = experiment_rows(names, all_commits=all_commits) if listed else [workspace_row()]
    if rows or as_json:
        render(rows, as_json)
    return len(rows)


def _print_sister(
    top: Path,
    folder: Path,
    names: Sequence[str],
    *,
    all_commits: bool,
    listed: bool,
    as_json: bool,
) -> int:
    from retune.tools.experiments.listing import finished, unfinished
    from retune.tools.report.headline import print_results
    from retune.tools.report.sister_experiments import as_data, print_experiments

    if not listed:
        print_results(top, folder, as_json=as_json)
        return 1
    states = {name: state for name, state in unfinished().items() if not names or name in names}
    refs = finished(names, all_commits=all_commits, others=states)
    results = _results(top, folder, refs)
    if as_json:
        print_json(as_data(results, states))
    else:
        print_experiments(results, states)
    return len(refs) + len(states)


def _results(top: Path, folder: Path, refs: "Sequence[Ref]") -> "list[Result]":
    """Return the figures of finished experiments; print a note about those without any."""
    from retune.tools.report.sister_experiments import read_results

    results, notes = read_results(top, folder, refs)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return results


def _print_seeds(names: Sequence[str], *, all_commits: bool, as_json: bool) -> int:
    variants = folded(names, all_commits=all_commits)
    if as_json:
        print_json(spread_as_json(variants))
    elif variants:
        print_spread(variants)
    return len(variants)


def folded(names: Sequence[str] = (), *, all_commits: bool = False) -> "list[Variant]":
    """Return the finished experiments, merged where they differ only by seed."""
    from retune.core.params import parameters
    from retune.tools.experiments import seed_groups
    from retune.tools.experiments.grid import seed_of
    from retune.tools.experiments.listing import DONE, finished, shown_experiments
    from retune.tools.report.sister_experiments import fold_seeds

    if place := sister_place():
        seed_param = seed_of(Path("params.yaml"))
        results = _results(*place, finished(names, all_commits=all_commits))
        return fold_seeds(results, seed_param)
    shown = shown_experiments(names, all_commits=all_commits)
    names_of_params = [*parameters(Path("params.yaml"))]
    return seed_groups.fold([row for row in shown if row.get("State") in DONE], names_of_params)


def print_spread(variants: "Sequence[Variant]", asked: int | None = None) -> None:
    """Print the spread that `folded` returns; `asked` is the number of seeds to expect."""
    from retune.tools.experiments import seed_groups
    from retune.tools.report.sister_experiments import print_seeds

    (print_seeds if sister_place() else seed_groups.report)(variants, asked)


def spread_as_json(variants: "Sequence[Variant]") -> dict[str, Any]:
    """Return the spread that `folded` returns, for JSON."""
    from retune.tools.experiments import seed_groups
    from retune.tools.report.sister_experiments import seeds_as_data

    return (seeds_as_data if sister_place() else seed_groups.as_json)(variants)


def print_json(value: object) -> None:
    """Print `value` as JSON over several lines."""
    print(json.dumps(value, indent=2))
