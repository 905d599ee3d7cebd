"""Make more training sentences of those that there are."""

from functools import partial
from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.sentiment.augment.augment import augment


def main(raw: Path, augmented: Path, metrics: Path) -> str:
    r"""Write the train split of RAW, and what a method makes of it, to AUGMENTED; count in METRICS.

    The method is `sentiment.augment.method`: none, rules or back_translation.

    Example: python -m stages.sentiment.augment --variant bert_augmented data/raw \
        data/bert_augmented/augmented metrics/bert_augmented_augment.json
    """
    with Params() as params:
        method, settings = params.variant(
            "sentiment.augment.method",
            "retune.tasks.sentiment.augmenting",
            "sentiment.augment.methods",
        )
    made = partial(method.augmented, params=settings)
    with sealed(
        params.read, reads={"raw": raw}, writes={"augmented": augmented}, reports=[metrics]
    ):
        return augment(raw, augmented, metrics, made=made)


if __name__ == "__main__":
    run_stage(main)
