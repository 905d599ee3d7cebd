"""The SQuAD scores as an `evaluate.Metric` that needs no network.

`evaluate.load("squad")` fetches a script from the hub; this class computes the same
figures from `retune.tasks.qa.score.official`. Importing it takes seconds, because `evaluate`
imports torch.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import datasets
import evaluate

from retune.core.errors import RetuneError, excerpt, listed
from retune.tasks.qa.score.official import figures, figures_with_thresholds
from retune.tasks.qa.score.score import evaluate_answers

_NO_ANSWER = "no_answer_probability"

_DESCRIPTION = "Exact match and F1 of SQuAD 1.1 (`squad`) and SQuAD 2.0 (`squad_v2`), in percent."
_INPUTS = """
Args:
    predictions: dicts with `id` and `prediction_text`; one for each reference. For squad_v2
        all or none of them may have `no_answer_probability`. Other keys are left out.
    references: dicts with `id` and `answers`, a dict of the lists `text` and `answer_start`.
    normalizer: `squad` (default), `plain` or `characters`.
    no_answer_threshold: for squad_v2, the probability of no answer above which "" counts
        as the answer; 1.0 by default.

Returns:
    A dict with `exact_match`, `f1` and `total`; for squad_v2 also each of them with the
    prefix `HasAns_` and `NoAns_`, where there are such questions. With probabilities also
    `best_exact_match` and `best_f1`, the highest that a threshold gives, and that
    threshold, `best_exact_match_threshold` and `best_f1_threshold`.
"""
_CITATION = """@inproceedings{rajpurkar2018know,
  title={Know What You Don't Know: Unanswerable Questions for SQuAD},
  author={Rajpurkar, Pranav and Jia, Robin and Liang, Percy},
  booktitle={Proceedings of ACL},
  year={2018}
}"""


class SquadMetric(evaluate.Metric):  # type: ignore[misc]
    """Exact match and F1, as `SquadMetric("squad")` or `SquadMetric("squad_v2")`.

    Example::

        metric = SquadMetric("squad")
        metric.compute(
            predictions=[{"id": "1", "prediction_text": "in 1912"}],
            references=[{"id": "1", "answers": {"text": ["1912"], "answer_start": [7]}}],
        )  # {"exact_match": 0.0, "f1": 66.66..., "total": 1}
    """

    def __init__(self, config_name: str = "squad", **options: Any) -> None:
        """Make the metric of one task; `options` are those of `evaluate.Metric`."""
        if config_name not in ("squad", "squad_v2"):
            raise RetuneError(f"no metric {config_name!r}; allowed: squad, squad_v2")
        super().__init__(config_name=config_name, **options)

    def add_batch(
        self,
        *,
        predictions: Sequence[dict[str, Any]],
        references: Sequence[dict[str, Any]],
    ) -> None:
        """Add answers and references; see `compute`."""
        for row in predictions:
            if not (isinstance(row["id"], str) and isinstance(row["prediction_text"], str)):
                raise RetuneError(f"prediction {excerpt(row)}: id and prediction_text must be text")
        texts = [{key: row[key] for key in ("id", "prediction_text")} for row in predictions]
        if self.config_name == "squad_v2":
            texts = [
                text | {_NO_ANSWER: _probability(row)}
                for text, row in zip(texts, predictions, strict=True)
            ]
        gold = [{key: row[key] for key in ("id", "answers")} for row in references]
        super().add_batch(predictions=texts, references=gold)

    def add(self, *, prediction: dict[str, Any], reference: dict[str, Any]) -> None:
        """Add one answer and its references."""
        self.add_batch(predictions=[prediction], references=[reference])

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        answers = {"text": [text], "answer_start": [datasets.Value("int32")]}
        prediction = {"id": text, "prediction_text": text}
        if self.config_name == "squad_v2":
            prediction[_NO_ANSWER] = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": prediction,
                    "references": {"id": text, "answers": answers},
                }
            ),
        )

    def _compute(
        self,
        predictions: Sequence[dict[str, Any]],
        references: Sequence[dict[str, Any]],
        normalizer: str = "squad",
        no_answer_threshold: float = 1.0,
    ) -> dict[str, float]:
        texts = {row["id"]: row["prediction_text"] for row in predictions}
        if len(texts) < len(predictions):
            raise RetuneError("an id appears in two predictions; give each question one answer")
        gold = [(row["id"], row["answers"]["text"]) for row in references]
        squad_v2 = self.config_name == "squad_v2"
        scores = evaluate_answers(gold, texts, squad_v2=squad_v2, normalizer=normalizer)
        probabilities = _probabilities(predictions)
        if probabilities is None:
            return figures(scores, squad_v2=squad_v2)
        return figures_with_thresholds(scores, texts, probabilities, no_answer_threshold)


def _probability(row: dict[str, Any]) -> float | None:
    value = row.get(_NO_ANSWER)
    if value is None:
        return None
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise RetuneError(f"prediction {excerpt(row)}: {_NO_ANSWER} must be a finite number")


def _probabilities(predictions: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """The probability of no answer by id, where the predictions have them."""
    without = [row["id"] for row in predictions if row.get(_NO_ANSWER) is None]
    if len(without) == len(predictions):
        return None
    if without:
        raise RetuneError(f"predictions without {_NO_ANSWER}: {listed(without)}; give all or none")
    return {row["id"]: float(row[_NO_ANSWER]) for row in predictions}
