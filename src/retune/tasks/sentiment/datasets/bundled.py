"""The corpus that comes with the package: opinions written for the project, CC0."""

from importlib import resources
from pathlib import Path

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source, local_source
from retune.tasks.sentiment.download.rows import Layout

FOLDER = Path(str(resources.files("retune"))) / "corpora" / "opinions"


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.datasets.bundled`: nothing to set."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The two files of the corpus; any `RetuneError` means a broken installation."""
    return {
        split: [local_source(FOLDER / f"{split}.tsv", sha256=None)]
        for split in ("train", "validation")
    }


def layout(params: Params) -> Layout:
    """A header, and labels 0 and 1."""
    return Layout(True, "sentence", "label", {"0": "negative", "1": "positive"})
