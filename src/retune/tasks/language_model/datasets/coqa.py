"""The stories of CoQA from the Hugging Face hub: 7,199 and 500, without questions and answers.

Reddy et al., CoQA: A Conversational Question Answering Challenge (TACL 2019). The splits are the
data set's own: notebook N4 trains on the stories of the one and evaluates on the other.
The hub's repository has Parquet files of its conversion branch at the paths below.
"""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.fetch.hub import HubParams
from retune.ingest.data_sources import hub_sources

REPOSITORY = "stanfordnlp/coqa"
COUNTS = {"train": 7_199, "validation": 500}


@dataclass(frozen=True, config=STRICT)
class Params(HubParams):
    """Section `language_model.datasets.coqa`; `revision` is a commit of the conversion branch."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The Parquet files of both splits, from the cache or the hub."""
    pattern = "default/{split}/0000.parquet"
    return hub_sources(REPOSITORY, pattern, params, COUNTS, task="language_model")


def field(params: Params) -> str:
    """The column of the stories; no other is read."""
    return "story"
