"""SQuAD 1.1 from the Hugging Face hub: 87,599 and 10,570 questions.

Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text (EMNLP 2016).
Licence: CC BY-SA 4.0.
"""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.fetch.hub import HubParams
from retune.ingest.data_sources import hub_sources

REPOSITORY = "rajpurkar/squad"
COUNTS = {"train": 87_599, "validation": 10_570}


@dataclass(frozen=True, config=STRICT)
class Params(HubParams):
    """Section `qa.datasets.squad`."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The Parquet files of both splits, from the cache or the hub."""
    pattern = "plain_text/{split}-00000-of-00001.parquet"
    return hub_sources(REPOSITORY, pattern, params, COUNTS, task="qa")
