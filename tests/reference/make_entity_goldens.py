"""Write entity_goldens.json: what seqeval computes for sentences of random tags.

seqeval brings scikit-learn and scipy, which transformers imports wherever they are, so that the
script needs an environment of its own:

    python -m venv seqeval-env
    seqeval-env/bin/pip install seqeval==1.2.2
    seqeval-env/bin/python tests/reference/make_entity_goldens.py

Predicted tags need not be IOB2. Types have names that are parts of each other, with hyphens.
"""

import json
import random
import warnings
from pathlib import Path
from typing import Any

from seqeval.metrics import classification_report

CASES = 400
TYPES = ["PER", "LOC", "LOC-A", "P"]
#: How likely B-, I- and O are; few O make long runs.
WEIGHTS = [(1, 2, 1), (1, 1, 4), (3, 1, 0), (0, 3, 1), (0, 0, 1)]


def tags(chance: random.Random, length: int) -> list[str]:
    weights = chance.choice(WEIGHTS)
    prefixes = chance.choices("BIO", weights, k=length)
    return [p if p == "O" else f"{p}-{chance.choice(TYPES)}" for p in prefixes]


def changed(chance: random.Random, sentence: list[str]) -> list[str]:
    """A prediction: now and then another tag than the reference."""
    rate = chance.choice([0.0, 0.1, 0.5, 1.0])
    other = tags(chance, len(sentence))
    return [o if chance.random() < rate else t for t, o in zip(sentence, other, strict=True)]


def case(chance: random.Random) -> dict[str, Any]:
    references = [tags(chance, chance.randint(1, 9)) for _ in range(chance.randint(1, 4))]
    predictions = [changed(chance, sentence) for sentence in references]
    report = classification_report(references, predictions, output_dict=True, zero_division=0)
    scores = {
        name: [row["precision"], row["recall"], row["f1-score"], int(row["support"])]
        for name, row in report.items()
        if not name.startswith(("macro", "weighted"))
    }
    return {"references": references, "predictions": predictions, "scores": scores}


def main() -> None:
    """Write the file beside this script."""
    warnings.simplefilter("ignore")
    chance = random.Random(5)
    cases = [case(chance) for _ in range(CASES)]
    text = "[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in cases) + "\n]\n"
    Path(__file__).with_name("entity_goldens.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
