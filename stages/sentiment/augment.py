"""Make more training sentences from the ones that there are."""

from functools import partial
from typing import Annotated

from retune.core.params import Choice, Chosen
from retune.core.signature import In, Out, Report
from retune.core.stage import run_stage
from retune.tasks.sentiment.augment.augment import augment

METHODS = Choice("sentiment.augment.method", "retune.tasks.sentiment.augmenting",
                 "sentiment.augment.methods")  # fmt: skip


def main(raw: In, augmented: Out, metrics: Report, *, method: Annotated[Chosen, METHODS]) -> str:
    r"""Write the train split of RAW, and what a method makes of it, to AUGMENTED; count in METRICS.

    The method is `sentiment.augment.method`: none, rules or back_translation.

    Example: python -m stages.sentiment.augment --variant bert_augmented data/raw \
        data/bert_augmented/augmented metrics/bert_augmented_augment.json
    """
    made = partial(method.module.augmented, params=method.params)
    return augment(raw, augmented, metrics, made=made)


if __name__ == "__main__":
    run_stage(main)
