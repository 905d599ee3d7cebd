"""The command `retune serve`."""

from argparse import Namespace
from pathlib import Path
from typing import Annotated

from typer import Option

from retune.tools.cli.application import MODELS, command
from retune.tools.project.workspace import inside_project


@command(MODELS, "retune serve --model data/qa/model --port 8000")
def serve(
    model: Annotated[
        str | None,
        Option(
            metavar="FOLDER",
            help="Model that a train stage wrote, or one of transformers; with --revision, an id "
            "of the Hugging Face hub.",
        ),
    ] = None,
    revision: Annotated[
        str | None,
        Option(metavar="COMMIT", help="Of an id, the 40 digits; of a folder, its SHA-256."),
    ] = None,
    params: Annotated[
        Path | None, Option(metavar="FILE", help="Settings to ask the model with.")
    ] = None,
    min_confidence: Annotated[
        str | None,
        Option(
            metavar="P",
            help="Withhold answers of less confidence: a number from 0 to 1, or `promised` for "
            "the threshold that the stage calibrate found.",
        ),
    ] = None,
    host: Annotated[
        str, Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 opens it to the network.")
    ] = "127.0.0.1",
    allowed_host: Annotated[
        list[str] | None,
        Option(
            metavar="NAME ...",
            help="Names by which clients reach the server, such as that of a proxy.",
        ),
    ] = None,
    port: Annotated[int, Option(metavar="N", help="Port; 0 is any free one.")] = 8000,
    max_bytes: Annotated[int, Option(metavar="N", help="Largest request.")] = 2**20,
    max_seconds: Annotated[float, Option(metavar="S", help="Longest time of an answer.")] = 60.0,
    max_requests: Annotated[
        int, Option(metavar="N", help="Most requests that wait at the same time.")
    ] = 64,
    max_windows: Annotated[int, Option(metavar="N", help="Most windows of a context.")] = 2048,
    as_json: Annotated[
        bool, Option("--json", help="Print the address and the model as JSON.")
    ] = False,
) -> int:
    """Answer questions over HTTP, and on a page in the browser.

    Serves a page, POST /answer, /health, /metrics and /openapi.json until Ctrl-C or SIGTERM.
    Requests that came before are then still answered. What is over a limit gets 413 (too large),
    429 (too many requests) or 503 (too long).
    """
    from retune.tools.serve.command import run

    arguments = Namespace(
        model=model, revision=revision, params=params, min_confidence=min_confidence, host=host,
        allowed_host=allowed_host or [], port=port, max_bytes=max_bytes, max_seconds=max_seconds,
        max_requests=max_requests, max_windows=max_windows, json=as_json,
    )  # fmt: skip
    paths = ("params",) if revision else ("params", "model")
    with inside_project(arguments, paths, outermost=True):
        return run(arguments)
