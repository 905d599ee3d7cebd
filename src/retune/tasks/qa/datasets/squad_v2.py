"""SQuAD 2.0 from the Hugging Face hub: 130,319 and 11,873 questions.

Rajpurkar et al., Know What You Don't Know: Unanswerable Questions for SQuAD (ACL 2018).
Licence: CC BY-SA 4.0.
"""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.fetch.hub import HubParams
from retune.ingest.data_sources import hub_sources

REPOSITORY = "rajpurkar/squad_v2"
COUNTS = {"train": 130_319, "validation": 11_873}


@dataclass(frozen=True, config=STRICT)
class Params(HubParams):
    """Section `qa.datasets.squad_v2`."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The Parquet files of both splits, from the cache or the hub."""
    pattern = "squad_v2/{split}-00000-of-00001.parquet"
    return hub_sources(REPOSITORY, pattern, params, COUNTS, task="qa")
