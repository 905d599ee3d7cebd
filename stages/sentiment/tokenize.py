"""Cut sentences into token ids."""

from typing import Annotated

from retune.core.params import Choice, Chosen
from retune.core.signature import In, Out, Report
from retune.core.stage import run_stage
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.sentiment.texts.examples import read_examples
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams, tokenize

VOCABULARIES = Choice("sentiment.vocabulary", "retune.tasks.sentiment.vocabularies",
                      "sentiment.vocabularies")  # fmt: skip


def main(
    raw: In, augmented: In, features: Out, metrics: Report, *,
    pretrained: Annotated[PretrainedParams, "sentiment.checkpoint"],
    settings: Annotated[TokenizeParams, "sentiment.tokenize"],
    vocabulary: Annotated[Chosen, VOCABULARIES],
) -> str:  # fmt: skip
    r"""Cut the train texts of AUGMENTED and the validation texts of RAW into token ids.

    Write them to the folder FEATURES. METRICS counts the texts that were cut.

    Example: python -m stages.sentiment.tokenize --variant bert data/raw data/bert/augmented \
        data/bert/features metrics/texts.json
    """
    texts = (example.text for example in read_examples(augmented / "train.jsonl"))
    tokenizer = vocabulary.module.tokenizer(vocabulary.params, pretrained, texts)
    return tokenize(raw, augmented, features, metrics, tokenizer=tokenizer, params=settings)


if __name__ == "__main__":
    run_stage(main)
