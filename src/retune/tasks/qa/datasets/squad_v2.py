"""SQuAD 2.0 from the Hugging Face hub: 130,319 and 11,873 questions.

Rajpurkar et al., Know What You Don't Know: Unanswerable Questions for SQuAD (ACL 2018).
Licence: CC BY-SA 4.0.
"""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.fetch.hub import HubParams
from retune.tasks.qa.datasets._squad import hub_sources

REPOSITORY = "rajpurkar/squad_v2"


@dataclass(frozen=True, config=STRICT)
class Params(HubParams):
    """Section `qa.datasets.squad_v2`."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The two Parquet files, from the cache or the hub."""
    return hub_sources(REPOSITORY, "squad_v2", params, questions=(130_319, 11_873))
