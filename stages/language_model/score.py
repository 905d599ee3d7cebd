"""Score what a model said by one method: ROUGE, n-gram hits, repetition, length."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.language_model.score.score import ScoreParams, score


def main(features: Path, generated: Path, metrics: Path) -> str:
    r"""Score the continuations in GENERATED against the pairs of FEATURES; write METRICS.

    Example: python -m stages.language_model.score --variant greedy data/features \
        data/generated/after/greedy metrics/scores.json
    """
    with Params() as params:
        settings = params.section("language_model.score", ScoreParams)
    reads = {"features": features, "generated": generated}
    with sealed(params.read, reads=reads, writes={}, reports=[metrics]):
        return score(features, generated, metrics, settings)


if __name__ == "__main__":
    run_stage(main)
