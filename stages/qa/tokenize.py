"""Cut questions and contexts into windows of token ids."""

from typing import Annotated

from retune.core.params import Positive
from retune.core.signature import In, Out, Report
from retune.core.stage import run_stage
from retune.models.pretrained_files import PretrainedParams, load_tokenizer, resolve
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize


def main(
    raw: In, features: Out, metrics: Report, *,
    pretrained: Annotated[PretrainedParams, "qa.checkpoint"],
    settings: Annotated[TokenizeParams, "qa.tokenize"],
    scoring: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
    longest: Annotated[Positive, "qa.train.evaluation.max_answer_length"],
) -> str:  # fmt: skip
    """Cut the splits in RAW into windows in the folder FEATURES; audit them in METRICS.

    Example: python -m stages.qa.tokenize data/qa/raw data/qa/features metrics/qa_windows.json
    """
    tokenizer = load_tokenizer(resolve(pretrained, "qa.checkpoint"))
    return tokenize(raw, features, metrics, tokenizer=tokenizer, params=settings, scoring=scoring,
                    squad_v2=squad_v2, longest=longest)  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
