"""SST-2 of GLUE from the Hugging Face hub: 67,349 phrases and 872 sentences.

Socher et al., Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank
(EMNLP 2013). The labels of its test split are withheld (-1), so that it is never read.
"""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.fetch.hub import HubParams
from retune.ingest.data_sources import hub_sources
from retune.tasks.sentiment.download.rows import Layout

REPOSITORY = "nyu-mll/glue"
COUNTS = {"train": 67_349, "validation": 872}


@dataclass(frozen=True, config=STRICT)
class Params(HubParams):
    """Section `sentiment.datasets.sst2`."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The Parquet files of train and validation, from the cache or the hub."""
    pattern = "sst2/{split}-00000-of-00001.parquet"
    return hub_sources(REPOSITORY, pattern, params, COUNTS, task="sentiment")


def layout(params: Params) -> Layout:
    """Columns `sentence` and `label`, labels 0 and 1."""
    return Layout(True, "sentence", "label", {"0": "negative", "1": "positive"})
