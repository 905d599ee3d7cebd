"""Make questions by rules from passages."""

from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.core.stage import run_stage
from retune.tasks.qa.synthesize.synthesize import SynthesizeParams, synthesize


def main(
    passages: In, test: In, made: Out, metrics: Report, table: Report, *,
    settings: Annotated[SynthesizeParams, "pretraining.questions"],
) -> str:  # fmt: skip
    r"""Make questions from the train contexts of PASSAGES, but from no text of TEST.

    The folder MADE gets the questions, METRICS the counts, TABLE some of the questions.

    Example: python -m stages.qa.synthesize data/raw data/test data/questions \
        metrics/questions.json metrics/questions.csv
    """
    return synthesize(passages, test, made, metrics, table, settings)


if __name__ == "__main__":
    run_stage(main)
