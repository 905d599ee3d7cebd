"""Cut sentences into token ids."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.models.checkpoints import CheckpointParams
from retune.tasks.sentiment.texts.examples import read_examples
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams, tokenize


def main(raw: Path, augmented: Path, features: Path, metrics: Path) -> str:
    r"""Cut the train texts of AUGMENTED and the validation texts of RAW into token ids.

    They go to the folder FEATURES, what was cut is told in METRICS.

    Example: python -m stages.sentiment.tokenize --variant bert data/raw data/bert/augmented \
        data/bert/features metrics/texts.json
    """
    with Params() as params:
        checkpoint = params.section("sentiment.checkpoint", CheckpointParams)
        lengths = params.section("sentiment.tokenize", TokenizeParams)
        vocabulary, settings = params.variant(
            "sentiment.vocabulary", "retune.tasks.sentiment.vocabularies", "sentiment.vocabularies"
        )
    reads, writes = {"raw": raw, "augmented": augmented}, {"features": features}
    with sealed(params.read, reads=reads, writes=writes, reports=[metrics]):
        texts = (example.text for example in read_examples(augmented / "train.jsonl"))
        tokenizer = vocabulary.tokenizer(settings, checkpoint, texts)
        return tokenize(raw, augmented, features, metrics, tokenizer=tokenizer, params=lengths)


if __name__ == "__main__":
    run_stage(main)
