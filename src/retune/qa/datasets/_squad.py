"""What the two versions of SQuAD on the Hugging Face hub share."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.fetching import Source, hub_source
from retune.params import STRICT

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=STRICT)
class HubParams:
    """The hub's commit and the sums of its two files."""

    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    train_sha256: Sha256
    validation_sha256: Sha256


def hub_sources(
    repository: str, folder: str, params: HubParams, questions: tuple[int, int]
) -> dict[str, list[Source]]:
    """The Parquet files of both splits, which must hold so many questions."""
    sums = {"train": params.train_sha256, "validation": params.validation_sha256}
    return {
        split: [
            hub_source(
                repository,
                f"{folder}/{split}-00000-of-00001.parquet",
                params.revision,
                sha256,
                count,
            )
        ]
        for (split, sha256), count in zip(sums.items(), questions, strict=True)
    }
