"""SQuAD 1.1 from the Hugging Face hub: 87,599 and 10,570 questions.

Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text (EMNLP 2016).
Licence: CC BY-SA 4.0. The answers of its own test split are not public. As everybody does, its dev
split (the hub's `validation`) is scored: here it is `test`.
"""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source, hub_source
from retune.fetch.hub import Commit, Sha256

REPOSITORY = "rajpurkar/squad"


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.squad`: the hub's commit and the sums of its two files."""

    revision: Commit
    train_sha256: Sha256
    test_sha256: Sha256


def sources(params: Params) -> dict[str, list[Source]]:
    """The Parquet files of train and dev, from the cache or the hub."""
    files = {
        "train": ("train", params.train_sha256, 87_599),
        "test": ("validation", params.test_sha256, 10_570),
    }
    pattern = "plain_text/{}-00000-of-00001.parquet"
    return {
        split: [hub_source(REPOSITORY, pattern.format(name), params.revision, sha256, count)]
        for split, (name, sha256, count) in files.items()
    }


def has_validation(params: Params) -> bool:
    """Both of its public splits are in use."""
    return False
