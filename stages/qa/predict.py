"""Compute the start and end logits of every evaluation window."""

from typing import Annotated

from retune.core.signature import In, Out
from retune.models.pretrained_files import PretrainedParams
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.predict.reader import load


def main(
    test_features: In, model: In, logits: Out, *,
    variant: Annotated[str, "qa.model"],
    # Not used: both folders must be of this tokenizer.
    checkpoint: Annotated[PretrainedParams, "qa.checkpoint"],
    settings: Annotated[PredictParams, "qa.predict"],
) -> str:  # fmt: skip
    """Run MODEL over the windows of TEST_FEATURES; write the folder LOGITS.

    Example: python -m stages.qa.predict data/qa/test_features data/qa/model data/qa/logits
    """
    return predict(test_features, load(variant, model), logits, settings, share=Share.of_launch())


if __name__ == "__main__":
    run_launched(main)
