"""The command `retune curve`."""

from argparse import Namespace
from typing import Annotated

from typer import Option

from retune.tools.cli.application import AS_JSON, RUNS, command
from retune.tools.project.workspace import inside_project


@command(RUNS, "retune curve --dry-run && retune curve")
def curve(
    seeds: Annotated[
        str, Option(metavar="N,N,...", help="Train on each part once with each seed.")
    ] = "1,2,3",
    dry_run: Annotated[bool, Option("--dry-run", help="Print what it costs, and stop.")] = False,
    replace: Annotated[bool, Option("--replace", help="Run finished trainings again.")] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Say what more training questions would bring.

    Trains on small parts of the training articles, at most half of them and for the price of about
    two trainings, and scores the validation questions. Fits a power law to these runs and the last
    run of the workspace, and forecasts F1 with twice the data. No test question is read.

    Prints the cost before it starts. A curve that was interrupted goes on where it stopped.
    """
    from retune.tools.curve.command import run

    with inside_project(Namespace(), outermost=True):
        return run(Namespace(seeds=seeds, dry_run=dry_run, replace=replace, json=as_json))
