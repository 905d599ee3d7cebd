"""The corpus that comes with the package: short stories written for the project, CC0."""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.ingest.data_sources import bundled_sources


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `language_model.datasets.bundled`: nothing to set."""


def sources(params: Params) -> dict[str, list[Source]]:
    """Both files."""
    return bundled_sources("stories", ".jsonl")


def field(params: Params) -> str:
    """The name of the text beside its title."""
    return "story"
