"""The corpus that comes with the package: our own prose in SQuAD 2.0 layout, CC0."""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source
from retune.ingest.data_sources import bundled_sources
from retune.tasks.qa.questions.splits import SPLITS


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.bundled`: nothing to set."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The three files."""
    return bundled_sources("encyclopaedia", ".json", SPLITS)


def has_validation(params: Params) -> bool:
    """It has."""
    return True
