"""SQuAD 2.0 from the Hugging Face hub: 130,319 and 11,873 questions.

Rajpurkar et al., Know What You Don't Know: Unanswerable Questions for SQuAD (ACL 2018).
Licence: CC BY-SA 4.0.
"""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.fetching import Source, hub_source
from retune.params import STRICT

REPOSITORY = "rajpurkar/squad_v2"


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.squad_v2`: the hub's commit and the sums of its two files."""

    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    train_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    validation_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def sources(params: Params) -> dict[str, list[Source]]:
    """The two Parquet files, from the cache or the hub."""
    return {
        "train": [_source("train", params, params.train_sha256, 130_319)],
        "validation": [_source("validation", params, params.validation_sha256, 11_873)],
    }


def _source(split: str, params: Params, sha256: str, questions: int) -> Source:
    file = f"squad_v2/{split}-00000-of-00001.parquet"
    return hub_source(REPOSITORY, file, params.revision, sha256, questions)
