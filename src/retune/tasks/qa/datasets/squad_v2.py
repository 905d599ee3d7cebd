"""SQuAD 2.0 from the Hugging Face hub: 130,319 and 11,873 questions.

Rajpurkar et al., Know What You Don't Know: Unanswerable Questions for SQuAD (ACL 2018).
Licence: CC BY-SA 4.0. The answers of its own test split are not public. As everybody does, its dev
split (the hub's `validation`) is scored: here it is `test`.
"""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source, hub_source
from retune.fetch.hub import Commit, Sha256

REPOSITORY = "rajpurkar/squad_v2"


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.squad_v2`: the hub's commit and the sums of its two files."""

    revision: Commit
    train_sha256: Sha256
    test_sha256: Sha256


def sources(params: Params) -> dict[str, list[Source]]:
    """The Parquet files of train and dev, from the cache or the hub."""
    files = {
        "train": ("train", params.train_sha256, 130_319),
        "test": ("validation", params.test_sha256, 11_873),
    }
    pattern = "squad_v2/{}-00000-of-00001.parquet"
    return {
        split: [hub_source(REPOSITORY, pattern.format(name), params.revision, sha256, count)]
        for split, (name, sha256, count) in files.items()
    }


def has_validation(params: Params) -> bool:
    """Both of its public splits are in use."""
    return False
