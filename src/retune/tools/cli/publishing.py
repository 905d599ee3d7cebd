"""The command `retune publish`."""

from argparse import Namespace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from retune.tools.cli.application import AS_JSON, MODELS, command
from retune.tools.project.workspace import inside_project


@command(MODELS, "retune publish reader --license cc-by-4.0 --language en")
def publish(
    folder: Annotated[Path, Argument(help="To write; a published folder is replaced.")],
    model: Annotated[Path, Option(metavar="FOLDER", help="Model that a train stage wrote.")] = Path(
        "data/qa/model"
    ),
    id_: Annotated[
        str | None, Option("--id", metavar="OWNER/NAME", help="Its name on the hub.")
    ] = None,
    license_: Annotated[
        str | None,
        Option("--license", metavar="ID", help="License, such as cc-by-4.0."),
    ] = None,
    data_license: Annotated[
        str | None, Option(metavar="ID", help="License of your data files.")
    ] = None,
    language: Annotated[
        list[str] | None, Option(metavar="CODE", help="Language, such as en (repeatable).")
    ] = None,
    dataset_id: Annotated[
        str | None, Option(metavar="OWNER/NAME", help="Name of your data set on the hub.")
    ] = None,
    task_id: Annotated[
        str, Option(metavar="ID", help="Task of that data set's leaderboard.")
    ] = "default",
    repository: Annotated[
        str | None, Option(metavar="URL", help="Address of your project.")
    ] = None,
    push: Annotated[
        str | None, Option(metavar="OWNER/NAME", help="Upload the folder to the hub.")
    ] = None,
    private: Annotated[bool, Option("--private", help="Create a private repository.")] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> int:
    """Write a folder with a trained model for the Hugging Face hub.

    It has the weights, the tokenizer, a model card with scores and intervals, the settings, the
    score of each test question, and the records that leaderboards and reviewers ask for. The run
    must be committed. The test questions and answers are in the folder: look before you --push.
    """
    from retune.tools.publish.command import run

    arguments = Namespace(
        folder=folder, model=model, id=id_, license=license_, data_license=data_license,
        language=language or [],
        dataset_id=dataset_id, task_id=task_id, repository=repository, push=push, private=private,
        json=as_json,
    )  # fmt: skip
    with inside_project(arguments, ("folder", "model"), outermost=True):
        return run(arguments)
