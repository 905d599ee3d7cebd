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
    from retune.tools.experiments.table import Row
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
    """Print experiments or the last run; return how many there are, with those left out."""
    from retune.tools.experiments.listing import experiment_rows
    from retune.tools.experiments.table import render, workspace_row

    found = experiment_rows(names, all_commits=all_commits) if listed else [workspace_row()]
    rows = _scored(found, names) if listed else found
    if rows or as_json:
        render(rows, as_json)
    return len(found)


def _scored(rows: "Sequence[Row]", names: Sequence[str]) -> "list[Row]":
    """Leave out finished runs that have no test scores, unless they are named, and say so."""
    kept = [row for row in rows if names or row["state"] or row["scored"]]
    if left := len(rows) - len(kept):
        runs = "run" if left == 1 else "runs"
        print(
            f"note: not shown: {left} {runs} without test scores. `retune try` and `retune curve` "
            "make such runs. Name one to see its costs",
            file=sys.stderr,
        )
    return kept


def _print_sister(
    top: Path,
    folder: Path,
    names: Sequence[str],
    *,
    all_commits: bool,
    listed: bool,
    as_json: bool,
) -> int:
    from retune.tools.experiments.listing import experiments
    from retune.tools.report.headline import print_results
    from retune.tools.report.sister_experiments import as_data, print_experiments

    if not listed:
        print_results(top, folder, as_json=as_json)
        return 1
    refs = experiments(names, all_commits=all_commits)
    states = {ref.name: ref.state for ref in refs if ref.state}
    results = _results(top, folder, refs)
    if as_json:
        print_json(as_data(results, states))
    else:
        print_experiments(results, states)
    return len(refs)


def _results(top: Path, folder: Path, refs: "Sequence[Ref]") -> "list[Result]":
    """Return the figures of the finished experiments; print a note about those without any."""
    from retune.tools.report.sister_experiments import read_results

    results, notes = read_results(top, folder, [ref for ref in refs if ref.state is None])
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
    from retune.tools.experiments.grid import seed_of
    from retune.tools.experiments.listing import experiments, read_row
    from retune.tools.experiments.seed_groups import fold
    from retune.tools.report.sister_experiments import fold_seeds

    params = Path("params.yaml")
    seed_param = seed_of(params)
    refs = experiments(names, all_commits=all_commits)
    if place := sister_place():
        return fold_seeds(_results(*place, refs), seed_param)
    ended = [read_row(ref) for ref in refs if ref.state is None]
    return fold(_scored(ended, names), [*parameters(params)], seed_param=seed_param)


def print_spread(variants: "Sequence[Variant]", asked: int | None = None) -> None:
    """Print the spread that `folded` returns; `asked` is the number of seeds to expect."""
    from retune.tools.experiments.seed_groups import report
    from retune.tools.report.sister_experiments import compared

    report(variants, asked, figures=compared() if sister_place() else None)


def spread_as_json(variants: "Sequence[Variant]") -> dict[str, Any]:
    """Return the spread that `folded` returns, for JSON."""
    from retune.tools.experiments.seed_groups import as_json
    from retune.tools.report.sister_experiments import VARIANT, compared

    if sister_place():
        return as_json(variants, label=VARIANT, figures=compared())
    return as_json(variants)


def print_json(value: object) -> None:
    """Print `value` as JSON over several lines."""
    print(json.dumps(value, indent=2))
