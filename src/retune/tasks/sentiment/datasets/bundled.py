"""The corpus that comes with the package: opinions written for the project, CC0."""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.ingest.data_sources import bundled_sources
from retune.tasks.sentiment.download.rows import Layout


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.datasets.bundled`: nothing to set."""


def sources(params: Params) -> dict[str, list[Source]]:
    """Both files."""
    return bundled_sources("opinions", ".tsv")


def layout(params: Params) -> Layout:
    """A header, and labels 0 and 1."""
    return Layout(True, "sentence", "label", {"0": "negative", "1": "positive"})
