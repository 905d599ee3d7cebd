"""Your own files in one folder: plain text files of one text each, or JSON lines of texts."""

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

    Paths of files start from `folder`, whose path starts from the project's top folder. The
    download stage depends on this folder, so DVC notices every change of a file. A `.txt` file is
    one text. In JSON lines, `text` is the name of the field that has the text.
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
    """The files of both splits."""
    splits = {"train": params.train, "validation": params.validation}
    return own_sources(Path(params.folder), splits, _SECTION)


def field(params: Params) -> str:
    """The name in the params."""
    return params.text
