"""Cut texts into blocks of token ids."""

from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.core.stage import run_stage
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.language_model.tokenize.tokenize import TokenizeParams, tokenize


def main(
    raw: In, features: Out, metrics: Report, *,
    pretrained: Annotated[PretrainedParams, "language_model.checkpoint"],
    settings: Annotated[TokenizeParams, "language_model.tokenize"],
) -> str:  # fmt: skip
    r"""Cut the texts of RAW into blocks, and the validation texts into pairs of sentences, too.

    Write them to the folder FEATURES with their tokenizer. METRICS counts the tokens left over.

    Example: python -m stages.language_model.tokenize data/raw data/features \
        metrics/blocks.json
    """
    return tokenize(raw, features, metrics, params=settings, pretrained=pretrained)


if __name__ == "__main__":
    run_stage(main)
