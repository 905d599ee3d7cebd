"""The corpus that comes with the package: our own prose in SQuAD 2.0 layout, CC0."""

from importlib import resources
from pathlib import Path

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.fetch.fetching import Source, local_source

FOLDER = Path(str(resources.files("retune"))) / "corpora" / "encyclopaedia"


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.datasets.bundled`: nothing to set."""


def sources(params: Params) -> dict[str, list[Source]]:
    """The two files of the corpus; any `RetuneError` means a broken installation."""
    return {
        split: [local_source(FOLDER / f"{split}.json", sha256=None)]
        for split in ("train", "validation")
    }
