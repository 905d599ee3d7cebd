"""Turn logits into answers."""

from typing import Annotated

from retune.core.signature import In, Out
from retune.core.stage import run_stage
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess


def main(
    raw: In, test_features: In, logits: In, predictions: Out, *,
    settings: Annotated[PostprocessParams, "qa.postprocess"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
) -> str:  # fmt: skip
    r"""Read the best answers off LOGITS; write the folder PREDICTIONS.

    RAW has the test questions.

    Example: python -m stages.qa.postprocess \
        data/qa/test data/qa/test_features data/qa/logits data/qa/predictions
    """
    return postprocess(raw, test_features, logits, predictions, settings, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
