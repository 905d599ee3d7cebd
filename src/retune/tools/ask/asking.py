"""`retune ask`: answers of a trained model to the user's own texts.

A task takes part by an `Asker` in its `task.py`.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from retune.core import manifests
from retune.core.errors import RetuneError, excerpt
from retune.core.params import Params
from retune.core.plain_files import State, require_unchanged
from retune.inference.projects import recorded_params, variant_of
from retune.tasks.task import Asker

#: States of the files of the model being loaded, from when their hashes were checked.
_asked: dict[Path, State] = {}


class Reply(NamedTuple):
    """The reply to one text, for people and for programs.

    A `coloured` sentence has escape codes of its own, and texts without any.
    """

    sentence: str
    fields: dict[str, Any]
    coloured: bool = False


#: The reply to a blank text.
BLANK = Reply("", {"blank": True})


def replies(
    asker: Asker,
    texts: Iterable[str],
    *,
    context: str | None,
    model: Path | None = None,
    params: Path | None = None,
    variant: str | None = None,
    min_confidence: str | None = None,
) -> Iterator[Reply]:
    """Return an iterator over the replies to the texts.

    Args:
        asker: of the model's task.
        texts: a blank text has a blank reply, so that each text has one. Bytes that are not UTF-8
            are lone surrogates.
        context: the text that contains the answers, for the tasks that need one.
        model: folder that a train stage wrote; by default the task's own.
        params: params file to ask the model with; by default the task's own.
        variant: which of the file's `variants` changes them.
        min_confidence: answers of less confidence are withheld, in the tasks that state one.

    Raises:
        RetuneError: a text is not UTF-8, the model was trained as another variant, or an argument
            does not fit the task.
    """
    if min_confidence is not None and not asker.has_confidence:
        raise RetuneError(
            f"--min-confidence: the answers of --task {asker.name} have no confidence"
        )
    settings, folder = Params(params or asker.params, variant), model or Path(asker.model)
    if model is None and not folder.is_dir():
        command = _training_of(Path(asker.params).parent)
        raise RetuneError(
            f"{folder}: no such folder; `{command}` trains the model, --model names another"
        )
    require_trained_as(variant, settings, folder)
    _asked.clear()
    module = importlib.import_module(asker.module)
    options = {} if min_confidence is None else {"min_confidence": min_confidence}
    ask: Callable[[str], Reply] = module.asker(settings, folder, context, **options)
    require_unchanged(_asked)  # the model that was loaded is the one whose sums were compared
    return (ask(text) if text else BLANK for text in map(str.strip, _readable(texts)))


def _readable(texts: Iterable[str]) -> Iterator[str]:
    for number, text in enumerate(texts, 1):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RetuneError(f"text {number} is not UTF-8; convert it to UTF-8") from None
        yield text.removeprefix("\ufeff") if number == 1 else text


def _training_of(folder: Path) -> str:
    """Return the command that trains the models of the pipeline in a folder."""
    if folder == Path():
        return "dvc repro"
    if (folder / ".dvc").is_dir():
        return f"cd {folder} && dvc repro"
    return f"dvc repro {folder / 'dvc.yaml'}"


def require_trained_as(variant: str | None, settings: Params, folder: Path) -> None:
    """Raise an error if the model was trained as another variant than `variant`.

    For a model that was copied elsewhere, only the params in its manifest are known, but not the
    training's.

    Raises:
        RetuneError: the folder is another variant's, or one of the params that it records differs.
    """
    if variant is None or not folder.is_dir():
        return
    with settings:  # an unknown variant is refused first
        pass
    owner = variant_of(folder, settings)
    if owner not in (None, variant):
        raise RetuneError(
            f"--variant {variant}: the model in {folder} was trained as {owner}; name that "
            f"variant's model with --model, or give --variant {owner}"
        )
    for name, value in manifests.read(folder).get("params", {}).items():
        told = settings.value(name)
        if told not in (None, value):
            raise RetuneError(
                f"--variant {variant}: its {name} is {excerpt(told)}, but the model in {folder} "
                f"was trained with {excerpt(value)}; name that variant's model with --model"
            )


def trained_with(folder: Path, kinds: Mapping[str, type]) -> list[Any]:
    """Return the values of the params, named with their types, that a model was trained with.

    Raises:
        RetuneError: the folder is not there, is not what a train stage wrote, or its model was
            trained for another task.
    """
    if not folder.is_dir():
        raise RetuneError(
            f"{folder}: no such folder; `dvc repro` trains the model, --model names another"
        )
    found = recorded_params(folder, kinds, "; see --task")
    _asked.update(manifests.states(folder))
    return [*found.values()]
