"""Write confidence_goldens.json: what netcal, scikit-learn and MAPIE compute for random answers.

They bring scikit-learn and scipy, which transformers imports wherever they are, so that the script
needs an environment of its own:

    python -m venv confidence-env
    confidence-env/bin/pip install netcal==1.4.0 scikit-learn==1.9.1 mapie==1.6.0
    confidence-env/bin/python tests/reference/make_confidence_goldens.py

Answers are independent here, as the three assume.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from mapie.risk_control import BinaryClassificationController
from netcal.metrics import ECE
from sklearn.calibration import _SigmoidCalibration
from sklearn.metrics import brier_score_loss

CASES = 8
ANSWERS = 400
#: What MAPIE promises: its thresholds are 0, 0.01, ... 0.99, with Holm's procedure.
PRECISION, CERTAINTY = 0.9, 0.95


def case(seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(1, 3, ANSWERS).round(6)
    true = 1 / (1 + np.exp(-(generator.uniform(0.3, 1.2) * log_odds + generator.normal())))
    right = generator.random(ANSWERS) < true
    stated = 1 / (1 + np.exp(-log_odds))
    fitted = _SigmoidCalibration().fit(log_odds, right)
    controller = BinaryClassificationController(
        lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]), "precision", PRECISION,
        confidence_level=CERTAINTY,
    )  # fmt: skip
    controller.calibrate(stated[:, None], right.astype(int))
    allowed = np.atleast_1d(controller.valid_predict_params)
    return {
        "seed": seed,
        "slope": -fitted.a_,
        "intercept": -fitted.b_,
        "error": float(ECE(10).measure(stated, right.astype(int))),
        "brier": brier_score_loss(right, stated),
        "right": right.astype(int).tolist(),
        "log_odds": log_odds.tolist(),
        "lowest_confidence": float(allowed.min()) if len(allowed) else None,
    }


if __name__ == "__main__":
    cases = [case(seed) for seed in range(CASES)]
    path = Path(__file__).with_name("confidence_goldens.json")
    path.write_text(json.dumps(cases) + "\n", encoding="utf-8")
