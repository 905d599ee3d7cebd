"""The command `retune export`."""

from argparse import Namespace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from retune.tools.cli.application import AS_JSON, MODELS, command
from retune.tools.cli.comparisons import one_of
from retune.tools.project.workspace import inside_project


@command(MODELS, "retune export onnx --int8")
def export(
    format_: Annotated[
        str, Argument(help="For ONNX Runtime or OpenVINO.", **one_of("onnx", "openvino"))
    ],
    int8: Annotated[
        bool, Option("--int8", help="Make weights and activations 8-bit integers.")
    ] = False,
    model: Annotated[Path, Option(metavar="FOLDER", help="Model that a train stage wrote.")] = Path(
        "data/qa/model"
    ),
    out: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="For the export (default: exports/ beside the model)."),
    ] = None,
    params: Annotated[
        Path | None, Option(metavar="FILE", help="Settings to score the export with.")
    ] = None,
    max_loss: Annotated[float, Option(metavar="POINTS", help="F1 that the export may lose.")] = 0.5,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Export a model to run without torch, with its score.

    Converts the model, answers validation and test questions with the result, and compares them
    with the answers of the model. The export is refused where it may lose more F1 on the
    validation questions than --max-loss. `retune ask`, `retune serve` and `retune.Reader` load it.
    """
    from retune.tools.export.command import run

    arguments = Namespace(
        format=format_, int8=int8, model=model, out=out, params=params, max_loss=max_loss,
        json=as_json,
    )  # fmt: skip
    with inside_project(arguments, ("model", "out", "params"), outermost=True):
        return run(arguments)
