"""Cut questions and contexts into windows of token ids."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params, Positive
from retune.core.stage import run_stage
from retune.models.checkpoints import CheckpointParams, load_tokenizer, resolve
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize


def main(raw: Path, features: Path, metrics: Path) -> str:
    """Cut the questions of RAW into windows in the folder FEATURES; audit them in METRICS.

    Example: python -m stages.qa.tokenize data/qa/raw data/qa/features metrics/qa_windows.json
    """
    with Params() as params:
        checkpoint = params.section("qa.checkpoint", CheckpointParams)
        settings = params.section("qa.tokenize", TokenizeParams)
        scoring = params.section("qa.score", ScoreParams)
        squad_v2 = params.section("qa.squad_v2", bool)
        longest = params.section("qa.train.evaluation.max_answer_length", Positive)
    writes = {"features": features}
    with sealed(params.read, reads={"raw": raw}, writes=writes, reports=[metrics]):
        return tokenize(
            raw,
            features,
            metrics,
            tokenizer=load_tokenizer(resolve(checkpoint, "qa.checkpoint")),
            params=settings,
            scoring=scoring,
            squad_v2=squad_v2,
            longest=longest,
        )


if __name__ == "__main__":
    run_stage(main)
