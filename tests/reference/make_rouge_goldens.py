"""Write rouge_goldens.json: what rouge-score computes for a few pairs of texts.

rouge-score brings nltk, which nothing here needs, so that the script is for an environment of its
own. The file is what it wrote.

    python -m venv rouge-env
    rouge-env/bin/pip install rouge-score==0.1.2
    rouge-env/bin/python tests/reference/make_rouge_goldens.py
"""

import json
from pathlib import Path
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

#: The reference, the prediction, and the n of its n-grams.
CASES = [
    ("the cat sat on the mat", "the the the cat", 1),
    ("the cat sat on the mat", "the the the cat", 2),
    ("The old gate, again: open!", "the OLD gate again open", 3),
    ("Café No. 5", "no 5 caf", 1),
    ("Café No. 5", "no 5 caf", 2),
    ("a b c", "a b", 3),
    ("a b c d", "c d a b c d", 2),
    ("a", "", 1),
    ("...", "a", 1),
]


def case(reference: str, prediction: str, n: int) -> dict[str, Any]:
    score = RougeScorer([f"rouge{n}"]).score(reference, prediction)[f"rouge{n}"]
    figures = [score.precision, score.recall, score.fmeasure]
    return {"reference": reference, "prediction": prediction, "n": n, "figures": figures}


def main() -> None:
    """Write the file beside this script."""
    cases = [json.dumps(case(*each), separators=(",", ":")) for each in CASES]
    text = "[\n" + ",\n".join(cases) + "\n]\n"
    Path(__file__).with_name("rouge_goldens.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
