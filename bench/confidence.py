"""Confidence, tested on stored answers: its calibration error, and how often its promise is broken.

The passages of a data folder stand for all passages there are, so that the share of right answers
above a threshold is known. Passages are drawn from them with replacement, confidence is fitted on
their questions as the stage `calibrate` does, and the promise is compared with the known share. For
the calibration error the passages are halved: one half to fit, the other half to measure. No model
is trained or asked.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from bench.measure import RESULTS, plain_parser
from retune.core.numerics import Doubles
from retune.stats.bootstrap import Ints
from retune.stats.calibration import (
    Bools,
    chance_calibration_error,
    expected_calibration_error,
    fit_platt_scaling,
    reliability_curve,
)
from retune.stats.clusters import Clusters
from retune.stats.risk_control import promised_threshold
from retune.tasks.qa.confidence.calibration import uncalibrated
from retune.tasks.qa.confidence.scored_answers import read_scored_answers

DRAWS = 500
#: How many passages are drawn, and what is promised.
PASSAGES = (50, 200, 800)
PRECISIONS = (0.6, 0.7, 0.8, 0.9)
CERTAINTY = 0.95
_BINS = 10


class Answers(NamedTuple):
    """The log-odds of N answers, whether each is right, and its passage."""

    log_odds: Doubles
    right: Bools
    passages: Clusters

    def of(self, passages: Ints) -> "Answers":
        """The answers to all questions of these passages; one drawn twice counts as two."""
        places = [np.flatnonzero(self.passages.numbers == passage) for passage in passages]
        numbers = np.repeat(np.arange(len(places)), [len(each) for each in places])
        chosen = np.concatenate(places)
        return Answers(self.log_odds[chosen], self.right[chosen], Clusters(numbers))


def read(folder: Path) -> Answers:
    """Read the test answers in the data folder of a pipeline."""
    found = read_scored_answers(folder / "scores", folder / "predictions")
    return Answers(found.log_odds, found.right, found.passages)


def promises(pool: Answers, draws: int) -> Iterator[dict[str, Any]]:
    """Yield how often each promise is made and broken, for each number of passages."""
    generator = np.random.default_rng(0)
    for passages in PASSAGES:
        drawn = [
            pool.of(generator.integers(len(pool.passages), size=passages))
            for _ in tqdm(range(draws), desc=f"draw {passages} passages", unit=" draws")
        ]
        for precision in PRECISIONS:
            made = [
                promised_threshold(*each, precision=precision, certainty=CERTAINTY)
                for each in tqdm(drawn, desc=f"promise {precision:.0%}", unit=" draws")
            ]
            kept = [pool.log_odds >= each.threshold for each in made if each.threshold is not None]
            shares = [float(pool.right[above].mean()) if above.any() else 1.0 for above in kept]
            yield {
                "passages": passages,
                "precision": precision,
                "made": 100.0 * len(kept) / draws,
                "broken": 100.0 * sum(share < precision for share in shares) / draws,
                "coverage": 100.0 * float(np.mean([k.mean() for k in kept])) if kept else None,
            }


def errors(pool: Answers, draws: int) -> dict[str, float]:
    """Return mean calibration errors of half of the passages, fitted on the other half."""
    generator, rows = np.random.default_rng(1), []
    for _ in tqdm(range(draws), desc="halve", unit=" draws"):
        order = generator.permutation(len(pool.passages))
        fitted, measured = (pool.of(half) for half in np.array_split(order, 2))
        scaling = fit_platt_scaling(fitted.log_odds, fitted.right)
        confidence = scaling(measured.log_odds)
        pair = (uncalibrated(measured.log_odds), confidence)
        rows.append(
            [
                *(expected_calibration_error(reliability_curve(measured.right, each, _BINS))
                  for each in pair),
                chance_calibration_error(confidence, _BINS),
            ]
        )  # fmt: skip
    share, calibrated, chance = (100.0 * np.array(rows).mean(axis=0)).tolist()
    return {"n_best_share": share, "calibrated": calibrated, "by_chance": chance}


def main() -> None:
    """Print the figures of a folder, and save them if wanted."""
    parser = plain_parser("confidence", str(__doc__), "--data data/qa --save")
    parser.add_argument(
        "--data", type=Path, default=Path("data/qa"), metavar="FOLDER",
        help="data folder with test answers (default: data/qa)",
    )  # fmt: skip
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"of passages (default: {DRAWS})")
    parser.add_argument("--save", action="store_true", help="save the figures to bench/results/")
    arguments = parser.parse_args()
    pool = read(arguments.data)
    found = {
        "questions": len(pool.right),
        "passages": len(pool.passages),
        "exact_match": 100.0 * float(pool.right.mean()),
        "draws": arguments.draws,
        "errors": errors(pool, arguments.draws),
        "promises": [*promises(pool, arguments.draws)],
    }
    text = json.dumps(found, indent=2) + "\n"
    if arguments.save:
        Path(RESULTS / "confidence.json").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
