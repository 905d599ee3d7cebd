"""Write label_goldens.json: the label quality that cleanlab gives to classes.

Run it where cleanlab is installed: `python tests/reference/make_label_goldens.py`. Cleanlab needs
classes, so it applies to the starts in passages with the same number of tokens.
"""

import json
from pathlib import Path

import numpy as np
from cleanlab.rank import get_label_quality_scores

ROWS, TOKENS = 20, 7


def main() -> None:
    """Write the file beside this script."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (ROWS, TOKENS)).round(3)
    labels = generator.integers(TOKENS, size=ROWS)
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    scores = get_label_quality_scores(labels, shares, method="self_confidence")
    golden = {
        "logits": logits.tolist(),
        "labels": labels.tolist(),
        "self_confidence": scores.round(9).tolist(),
    }
    path = Path(__file__).with_name("label_goldens.json")
    path.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
