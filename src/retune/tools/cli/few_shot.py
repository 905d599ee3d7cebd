"""The command `retune few-shot`."""

from argparse import Namespace
from typing import Annotated

from typer import Argument, Option

from retune.tools.cli.application import AS_JSON, RUNS, command
from retune.tools.project.workspace import inside_project


@command(RUNS, "retune few-shot qa.dataset=squad --dry-run", "few-shot")
def few_shot(
    what: Annotated[
        list[str] | None,
        Argument(
            metavar="NAME|KEY=VALUE",
            help="A named experiment, or a value for a param; all together are one setting.",
            show_default=False,
        ),
    ] = None,
    train: Annotated[int, Option(metavar="N", help="Training questions of each draw.")] = 1024,
    validation: Annotated[
        int, Option(metavar="N", help="Validation questions, which choose the epoch.")
    ] = 256,
    test: Annotated[int, Option(metavar="N", help="Test questions, which are scored.")] = 2048,
    draws: Annotated[int, Option(metavar="N", help="How many training sets are drawn.")] = 10,
    dry_run: Annotated[bool, Option("--dry-run", help="Print data and cost, and stop.")] = False,
    replace: Annotated[bool, Option("--replace", help="Repeat finished draws, too.")] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Score ten trainings on a thousand questions.

    Each draw of a setting has other training questions and another seed. Validation and test
    questions are the same, and come from other articles. Prints data and cost first, and then EM
    and F1 of each draw, their mean with a 95 % interval over draws and passages, and their spread.

    Run it again to continue an interrupted protocol.
    """
    from retune.tools.few_shot.command import run

    arguments = Namespace(
        words=what or [], train=train, validation=validation, test=test, draws=draws,
        dry_run=dry_run, replace=replace, json=as_json,
    )  # fmt: skip
    with inside_project(Namespace(), outermost=True):
        return run(arguments)
