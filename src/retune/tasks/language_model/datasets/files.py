"""The user's own files in one folder: plain text, a text each, or JSON lines of texts."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.ingest.data_sources import own_sources

_SECTION = "language_model.datasets.files"
_SUFFIXES = (".txt", ".jsonl")


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `language_model.datasets.files`.

    The files of each split are named from `folder` (itself from the project's top folder),
    which is a dep of the download stage, so that DVC sees when one of them changes. A `.txt` file
    is one text; in JSON lines, `text` is the name of the field that has it.
    """

    folder: str
    train: list[str]
    validation: list[str]
    text: Annotated[str, Field(min_length=1)]

    def __post_init__(self) -> None:
        for name in [*self.train, *self.validation]:
            if not name.lower().endswith(_SUFFIXES):
                raise ValueError(f"{name} is not read; allowed: {', '.join(_SUFFIXES)}")


def sources(params: Params) -> dict[str, list[Source]]:
    """The files; each split needs at least one."""
    splits = {"train": params.train, "validation": params.validation}
    return own_sources(Path(params.folder), splits, _SECTION)


def field(params: Params) -> str:
    """As the params tell it."""
    return params.text
