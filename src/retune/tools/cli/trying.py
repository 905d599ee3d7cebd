"""The command `retune try`."""

from argparse import Namespace
from typing import Annotated

from typer import Argument, Option

from retune.tools.cli.application import AS_JSON, RUNS, command
from retune.tools.cli.comparisons import one_of
from retune.tools.project.workspace import inside_project

_EXAMPLE = "retune try --begin --tries 20 --seeds 1,2,3 && retune try slow qa.train.lr=1e-4"


@command(RUNS, _EXAMPLE, "try")
def attempt(
    name: Annotated[
        str | None, Argument(metavar="NAME", help="Of the try, for the ledger.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None,
        Argument(metavar="KEY=VALUE", help="Params to change.", show_default=False),
    ] = None,
    begin: Annotated[bool, Option("--begin", help="Fix the plan and run the base.")] = False,
    tries: Annotated[
        int | None, Option(metavar="N", help="How many tries the search may have (--begin).")
    ] = None,
    seeds: Annotated[
        str | None, Option(metavar="N,N,...", help="Seeds of each setting, 3 or more (--begin).")
    ] = None,
    metric: Annotated[
        str | None, Option(help="Decides; default: f1 (--begin).", **one_of("f1", "exact_match"))
    ] = None,
    end: Annotated[
        bool, Option("--end", help="Score base and best on test, once, and close the ledger.")
    ] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Try a change, and keep it only if it is better than noise.

    Runs the settings with each seed of the plan, as far as the validation questions, and compares
    them with the best so far. A kept try is the base of the next ones. Each try is a line of
    tries.jsonl. Without NAME, lists the tries.

    Exit code 0: kept, or better on test; 3: dropped, or not shown to be better; 1: error.
    """
    from retune.tools.tries.command import run

    arguments = Namespace(
        name=name, changes=changes, begin=begin, tries=tries, seeds=seeds, metric=metric, end=end,
        json=as_json,
    )  # fmt: skip
    with inside_project(arguments):
        return run(arguments)
