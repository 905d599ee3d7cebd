"""No augmentation: the sentences as they are."""

from collections.abc import Iterator, Sequence

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.tasks.sentiment.texts.examples import Example


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.augment.methods.none`: nothing to set."""


def augmented(examples: Sequence[Example], params: Params) -> Iterator[Example]:
    """Nothing."""
    return iter(())
