"""The commands `retune score` and `retune compare`."""

from argparse import Namespace
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, BadParameter, Option

from retune.tools.cli.application import AS_JSON, RESULTS, command
from retune.tools.project.workspace import inside_project


def one_of(*allowed: str) -> dict[str, Any]:
    """Return the arguments of an option with few values."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in allowed:
            raise BadParameter(f"{value!r}; allowed: {', '.join(allowed)}")
        return value

    return {"metavar": "|".join(allowed), "callback": check, "autocompletion": lambda: [*allowed]}


_CLUSTER = Option(
    help="What questions are grouped by for intervals and tests.",
    **one_of("passage", "article", "none"),
)
_SQUAD_V2 = Option("--squad-v2", help="Score unanswerable questions, as in SQuAD 2.0.")
_MISSING = Option(
    help="A question without a prediction scores 0, or is an error.", **one_of("zero", "error")
)
_NORMALIZER = Option(
    help="How answers are turned into words: English, other languages, languages without spaces.",
    **one_of("squad", "plain", "characters"),
)


@command(RESULTS, "retune score predictions.json dev-v2.0.json --squad-v2")
def score(
    predictions: Annotated[Path, Argument(metavar="PREDICTIONS", help="Answers by question id.")],
    data: Annotated[Path, Argument(metavar="DATA", help="The questions, in any supported form.")],
    squad_v2: Annotated[bool, _SQUAD_V2] = False,
    na_prob: Annotated[
        Path | None,
        Option(metavar="FILE", help="Probabilities of no answer, by question id (SQuAD 2.0)."),
    ] = None,
    na_threshold: Annotated[
        float, Option(metavar="P", help="A higher probability counts as no answer.")
    ] = 1.0,
    missing: Annotated[str, _MISSING] = "zero",
    normalizer: Annotated[str, _NORMALIZER] = "squad",
    cluster: Annotated[str, _CLUSTER] = "passage",
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Score a predictions file of any system.

    Prints exact match and F1 as the official SQuAD scripts compute them, with 95 % intervals that
    allow for questions that share a passage. PREDICTIONS is a JSON object: {"id": "answer"}.
    """
    from retune.tools.compare.score import run

    return run(
        Namespace(
            predictions=predictions, data=data, squad_v2=squad_v2, na_prob=na_prob,
            na_threshold=na_threshold, missing=missing, normalizer=normalizer, cluster=cluster,
            json=as_json,
        )
    )  # fmt: skip


@command(RESULTS, "retune compare bert lstm")
def compare(
    systems: Annotated[
        list[str],
        Argument(
            metavar="SYSTEM",
            help="An experiment, a commit, workspace (the last run), or a predictions file; "
            "NAME=ONE,TWO for several seeds.",
        ),
    ],
    data: Annotated[
        Path | None, Option(metavar="FILE", help="The questions of predictions files.")
    ] = None,
    against: Annotated[
        str | None,
        Option(metavar="SYSTEM", help="Compare with this base, and exit with the verdict."),
    ] = None,
    cluster: Annotated[str, _CLUSTER] = "passage",
    flips: Annotated[
        bool, Option("--flips", help="List the questions that only one answers well.")
    ] = False,
    squad_v2: Annotated[bool, _SQUAD_V2] = False,
    missing: Annotated[str, _MISSING] = "zero",
    normalizer: Annotated[str, _NORMALIZER] = "squad",
    output: Annotated[
        str,
        Option("--format", help="What is printed.", **one_of("text", "markdown", "csv", "json")),
    ] = "text",
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Say which of several systems is better, and which are not separable.

    The name of a sweep's experiments without their seed stands for all of them, and that of a
    few-shot protocol for all its draws, which are compared in pairs.

    Pairs the systems by question and groups questions by passage. Prints intervals, p-values that
    are adjusted for all pairs, the smallest difference that the test could show, ranks and costs.

    Exit code 0; with --against 0: better, 1: worse, 3: not separable. 2: it could not run.
    """
    from retune.tools.compare.command import run

    arguments = Namespace(
        systems=systems, data=data, against=against, cluster=cluster, flips=flips,
        squad_v2=squad_v2, missing=missing, normalizer=normalizer,
        format="json" if as_json else output, folder=Path(),
    )  # fmt: skip
    with inside_project(arguments, ("data", "folder")):
        return run(arguments)
