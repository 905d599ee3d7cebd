"""The SQuAD scores as an `evaluate.Metric` that needs no network.

`evaluate.load("squad")` fetches a script from the hub; this class computes the same
figures from `retune.tasks.qa.score.score`. Importing it takes seconds, because `evaluate`
imports torch.
"""

import dataclasses
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray

from retune.core.errors import RetuneError, excerpt, listed
from retune.tasks.qa.score.score import Scores, evaluate_answers, groups

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
            return _figures(scores, squad_v2=squad_v2)
        place = {id_: number for number, id_ in enumerate(scores.ids)}
        order = np.array([place[id_] for id_ in texts])
        answered = np.array([bool(text) for text in texts.values()])
        return _figures(
            _with_threshold(scores, order[probabilities > no_answer_threshold]), squad_v2=True
        ) | {
            f"best_{name}{suffix}": figure
            for name, values in (("exact_match", scores.exact), ("f1", scores.f1s))
            for suffix, figure in zip(
                ("", "_threshold"),
                best_threshold(values[order], scores.has_answer[order], answered, probabilities),
                strict=True,
            )
        }


def best_threshold(
    scores: NDArray[Any],
    has_answer: NDArray[np.bool_],
    answered: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the best threshold on the probability of no answer, and its score.

    This follows the SQuAD 2.0 script. First every question is left unanswered. Then questions are
    answered one by one in the order of their probabilities; ties keep the given order. If it is
    best to leave all unanswered, the threshold is 0.

    Args:
        scores: shape (N,), of the answers, from 0 to 1.
        has_answer: shape (N,), whether the question has a reference answer.
        answered: shape (N,), whether the answer is other than "".
        probabilities: shape (N,), that the question has no answer.

    Returns:
        The score in percent of all N questions, and the threshold.
    """
    order = np.argsort(probabilities, kind="stable")
    gains = np.where(has_answer, scores, np.where(answered, -1.0, 0.0))[order]
    sums = np.cumsum([np.count_nonzero(~has_answer), *gains])
    best = int(np.argmax(sums))
    threshold = float(probabilities[order[best - 1]]) if best else 0.0
    return 100.0 * float(sums[best]) / len(scores), threshold


def _with_threshold(scores: Scores, unanswered: NDArray[np.int64]) -> Scores:
    """The scores if the questions with these numbers are left unanswered."""
    exact, f1s = scores.exact.copy(), scores.f1s.copy()
    exact[unanswered] = f1s[unanswered] = ~scores.has_answer[unanswered]
    return dataclasses.replace(scores, exact=exact, f1s=f1s)


def _figures(scores: Scores, *, squad_v2: bool) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, group in groups(scores, squad_v2=squad_v2).items():
        prefix = "" if name == "all" else f"{name}_"
        figures[f"{prefix}exact_match"] = group.exact_match
        figures[f"{prefix}f1"] = group.f1
        figures[f"{prefix}total"] = len(group.ids)
    return figures


def _probability(row: dict[str, Any]) -> float | None:
    value = row.get(_NO_ANSWER)
    if value is None:
        return None
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise RetuneError(f"prediction {excerpt(row)}: {_NO_ANSWER} must be a finite number")


def _probabilities(predictions: Sequence[dict[str, Any]]) -> NDArray[np.float64] | None:
    """The probabilities of no answer, shape (N,), where the predictions have them."""
    without = [row["id"] for row in predictions if row.get(_NO_ANSWER) is None]
    if len(without) == len(predictions):
        return None
    if without:
        raise RetuneError(f"predictions without {_NO_ANSWER}: {listed(without)}; give all or none")
    return np.array([row[_NO_ANSWER] for row in predictions], np.float64)
