"""Your own files: local paths or URLs, any number per split, in any supported form."""

from pathlib import Path
from typing import Any

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.data_files import File, file_source
from retune.fetch.fetching import Source
from retune.ingest.data_sources import require_files


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.files`: the files of each split.

    Local files are in `folder`, a path from the project's top folder. The download stage depends
    on this folder, so DVC notices every change of a file. `validation` may be empty.
    """

    folder: str
    train: list[File]
    validation: list[File]
    test: list[File]

    @model_validator(mode="before")
    @classmethod
    def _explain_the_new_name(cls, values: Any) -> Any:
        """Refuse a section from before there was a test split."""
        if isinstance(values, dict) and "validation" in values and "test" not in values:
            raise ValueError(
                "no `test`: the scored questions are named `test` now, and `validation` only "
                "chooses the epoch; rename `validation` to `test` and add `validation: []`"
            )
        return values


def sources(params: Params) -> dict[str, list[Source]]:
    """The files; URLs are downloaded."""
    folder, section = Path(params.folder), "qa.datasets.files"
    splits = {"train": params.train, "test": params.test}
    require_files(splits, section)
    if params.validation:
        splits["validation"] = params.validation
    return {
        split: [file_source(folder, f, section) for f in files] for split, files in splits.items()
    }


def has_validation(params: Params) -> bool:
    """Whether the user has files for it."""
    return bool(params.validation)
