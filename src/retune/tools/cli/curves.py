"""The command `retune curve`."""

from argparse import Namespace
from typing import Annotated

from typer import Option

from retune.tools.cli.application import AS_JSON, RUNS, command
from retune.tools.project.workspace import inside_project


@command(RUNS, "retune curve --dry-run && retune curve")
def curve(
    seeds: Annotated[
        str, Option(metavar="N,N,...", help="Train on each part with each seed.")
    ] = "1,2,3",
    dry_run: Annotated[bool, Option("--dry-run", help="Print the cost and stop.")] = False,
    replace: Annotated[bool, Option("--replace", help="Repeat finished trainings, too.")] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Forecast what more training questions would bring.

    Trains on parts of the training articles, none larger than half, and scores the validation
    questions. All parts together cost about two trainings; the cost is printed first. A power law
    through these runs and the last run forecasts F1 with twice the data. No test question is read.

    Run it again to continue an interrupted curve.
    """
    from retune.tools.curve.command import run

    with inside_project(Namespace(), outermost=True):
        return run(Namespace(seeds=seeds, dry_run=dry_run, replace=replace, json=as_json))
