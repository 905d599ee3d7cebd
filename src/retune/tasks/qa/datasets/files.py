"""The user's own files: local paths or URLs, any number a split, any supported form."""

from pathlib import Path

from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError
from retune.core.params import STRICT
from retune.fetch.data_files import File, file_source
from retune.fetch.fetching import Source


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.files`: the files of each split.

    Local files stand in `folder` (from the project's top folder): it is a dep of the
    download stage, so that DVC sees when one of them changes.
    """

    folder: str
    train: list[File]
    validation: list[File]


def sources(params: Params) -> dict[str, list[Source]]:
    """The files, downloaded where they are URLs; each split needs at least one."""
    splits = {"train": params.train, "validation": params.validation}
    for split, files in splits.items():
        if not files:
            raise RetuneError(f"qa.datasets.files.{split} in params.yaml names no file; add some")
    folder, section = Path(params.folder), "qa.datasets.files"
    return {
        split: [file_source(folder, f, section) for f in files] for split, files in splits.items()
    }
