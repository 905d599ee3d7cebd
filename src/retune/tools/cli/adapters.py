"""The command `retune adapters`."""

from argparse import Namespace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from retune.tools.cli.application import AS_JSON, MODELS, command
from retune.tools.cli.comparisons import one_of
from retune.tools.project.workspace import inside_project


@command(MODELS, "retune adapters import squad-adapter bundles/squad")
def adapters(
    action: Annotated[str, Argument(help="Which way to convert.", **one_of("import", "export"))],
    source: Annotated[
        Path,
        Argument(metavar="FOLDER", help="What AdapterHub's library saved; for export: a bundle."),
    ],
    out: Annotated[Path, Argument(metavar="OUT", help="The folder to write.")],
    encoder: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="The encoder that the adapter was trained on: a folder, an id of the hub, or "
            "package:NAME (default: qa.checkpoint of the params).",
        ),
    ] = None,
    revision: Annotated[
        str | None,
        Option(metavar="SUM", help="Its commit on the hub, or the SHA-256 of its weights."),
    ] = None,
    same_encoder: Annotated[
        bool, Option("--same-encoder", help="It is the adapter's encoder under another name.")
    ] = False,
    params: Annotated[
        Path | None, Option(metavar="FILE", help="Params that name the encoder.")
    ] = None,
    stack: Annotated[
        list[str] | None,
        Option(
            metavar="NAME ...",
            help="Adapters to use of several, the lowest first; a,b is a fusion of a and b.",
        ),
    ] = None,
    head: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="A head for question answering that is saved elsewhere."),
    ] = None,
    squad_v2: Annotated[
        bool, Option("--squad-v2", help="It was trained on unanswerable questions, too.")
    ] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Convert adapters of AdapterHub's library `adapters`.

    `import` writes a bundle from what `save_adapter`, `save_all_adapters`, `save_adapter_fusion` or
    `save_adapter_setup` wrote. `export` writes a bundle so that `load_adapter` or, for several
    adapters, `load_adapter_setup` reads it. Both keep the logits; adapters for which that is not
    possible are refused by name.
    """
    from retune.tools.adapterhub.command import run

    arguments = Namespace(
        action=action, source=source, out=out, encoder=encoder, revision=revision,
        same_encoder=same_encoder, params=params, stack=stack or [], head=head,
        squad_v2=squad_v2, json=as_json,
    )  # fmt: skip
    paths = ["source", "out", "params", "head"]
    if encoder is not None and Path(encoder).is_dir():
        paths.append("encoder")
    with inside_project(arguments, paths):
        return run(arguments)
