"""The corpus that comes with the package: short stories written for the project, CC0."""

from importlib import resources
from pathlib import Path

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source, local_source

FOLDER = Path(str(resources.files("retune"))) / "corpora" / "stories"


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `language_model.datasets.bundled`: nothing to set."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The two files of the corpus; any `RetuneError` means a broken installation."""
    return {
        split: [local_source(FOLDER / f"{split}.jsonl", sha256=None)]
        for split in ("train", "validation")
    }


def field(params: Params) -> str:
    """The name of the text beside its title."""
    return "story"
