"""SQuAD 1.1 from the Hugging Face hub: 87,599 and 10,570 questions.

Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text (EMNLP 2016).
Licence: CC BY-SA 4.0.
"""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.fetching import Source, hub_source
from retune.params import STRICT

REPOSITORY = "rajpurkar/squad"


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.squad`: the hub's commit and the sums of its two files."""

    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    train_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    validation_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def sources(params: Params) -> dict[str, list[Source]]:
    """The two Parquet files, from the cache or the hub."""
    return {
        "train": [_source("train", params, params.train_sha256, 87_599)],
        "validation": [_source("validation", params, params.validation_sha256, 10_570)],
    }


def _source(split: str, params: Params, sha256: str, questions: int) -> Source:
    file = f"plain_text/{split}-00000-of-00001.parquet"
    return hub_source(REPOSITORY, file, params.revision, sha256, questions)
