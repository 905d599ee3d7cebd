"""Score the continuations of one method: ROUGE, n-gram hits, repetition, length."""

from typing import Annotated

from retune.core.signature import In, Report
from retune.core.stage import run_stage
from retune.tasks.language_model.score.score import ScoreParams, score


def main(
    features: In, generated: In, metrics: Report, *,
    settings: Annotated[ScoreParams, "language_model.score"],
) -> str:  # fmt: skip
    r"""Score the continuations in GENERATED against the pairs of FEATURES; write METRICS.

    Example: python -m stages.language_model.score --variant greedy data/features \
        data/generated/after/greedy metrics/scores.json
    """
    return score(features, generated, metrics, settings)


if __name__ == "__main__":
    run_stage(main)
