"""Your own files: local paths or URLs, any number per split, in any supported form."""

from pathlib import Path

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.data_files import File, file_source
from retune.fetch.fetching import Source
from retune.ingest.data_sources import require_files


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.files`: the files of each split.

    Local files are in `folder`, a path from the project's top folder. The download stage depends
    on this folder, so DVC notices every change of a file.
    """

    folder: str
    train: list[File]
    validation: list[File]


def sources(params: Params) -> dict[str, list[Source]]:
    """The files; URLs are downloaded."""
    splits = {"train": params.train, "validation": params.validation}
    folder, section = Path(params.folder), "qa.datasets.files"
    require_files(splits, section)
    return {
        split: [file_source(folder, f, section) for f in files] for split, files in splits.items()
    }
