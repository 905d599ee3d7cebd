"""Perturb test questions and their passages, and see which answers change."""

from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.qa.answer.answer import Answering
from retune.tasks.qa.perturb.perturb import PerturbParams, perturb
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams


def main(
    test: In, logits: In, predictions: In, model: In,  # logits: the answers are of this model
    metrics: Report, table: Report, questions: Out, *,
    settings: Annotated[PerturbParams, "qa.perturb"],
    variant: Annotated[str, "qa.model"],
    lengths: Annotated[TokenizeParams, "qa.tokenize"],
    prediction: Annotated[PredictParams, "qa.predict"],
    reading: Annotated[PostprocessParams, "qa.postprocess"],
    scoring: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
) -> str:  # fmt: skip
    r"""Perturb questions of TEST, let MODEL answer, and compare its answers with PREDICTIONS.

    Example: python -m stages.qa.perturb data/qa/test data/qa/logits \
        data/qa/predictions data/qa/model metrics/qa_perturbations.json \
        metrics/qa_perturbations.csv data/qa/perturbations
    """
    how = Answering(lambda: load(variant, model), model, lengths, prediction, reading, scoring,
                    squad_v2=squad_v2, share=Share.of_launch())  # fmt: skip
    return perturb(test, predictions, metrics, table, questions, settings, answering=how)


if __name__ == "__main__":
    run_launched(main)
