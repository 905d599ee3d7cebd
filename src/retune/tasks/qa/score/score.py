"""Stage `score`: exact match and F1 as the SQuAD 1.1 and 2.0 scoring scripts define them.

SQuAD 1.1 (Rajpurkar et al. 2016): the best value over all reference answers. SQuAD 2.0
(Rajpurkar et al. 2018): a question without reference answers has the reference "";
references without a token count only if there is no other. The two differ in the F1 of
texts without tokens: always 0 in 1.1, 1 in 2.0 where both are without.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass as params_dataclass

from retune.core.errors import RetuneError, excerpt, listed
from retune.core.files import atomic_path, read_json, write_json
from retune.core.params import STRICT
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.questions.splits import SCORED, Keep
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.question_scores import (
    QuestionScore,
    question_scores,
    write_question_scores,
)

Normalizer = Literal["squad", "plain", "characters"]
Gold = Sequence[tuple[str, Sequence[str]]]
#: The file with the score of each question.
QUESTIONS = "questions.jsonl"


@params_dataclass(frozen=True, config=STRICT)
class ScoreParams:
    """Section `qa.score`."""

    normalizer: Normalizer


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N questions, in the order of the gold ids.

    The properties are percentages of all questions.
    """

    ids: tuple[str, ...]
    exact: NDArray[np.bool_]  # (N,)
    f1s: NDArray[np.float64]  # (N,) from 0 to 1
    has_answer: NDArray[np.bool_]  # (N,) whether there is a reference answer
    without_tokens: NDArray[np.bool_]  # (N,) whether no reference answer has a token

    @property
    def exact_match(self) -> float:
        """Questions whose answer equals a reference, in percent."""
        return 100.0 * int(self.exact.sum()) / len(self.ids)

    @property
    def f1(self) -> float:
        """Mean F1, in percent."""
        return 100.0 * math.fsum(self.f1s.tolist()) / len(self.ids)

    def sentence(self) -> str:
        """Return the figures as text."""
        return f"EM {self.exact_match:.2f}, F1 {self.f1:.2f} over {len(self.ids):,} questions"

    def group(self, chosen: NDArray[np.bool_]) -> "Scores":
        """The questions where `chosen`, shape (N,), is true."""
        return Scores(
            tuple(id_ for id_, keep in zip(self.ids, chosen.tolist(), strict=True) if keep),
            self.exact[chosen],
            self.f1s[chosen],
            self.has_answer[chosen],
            self.without_tokens[chosen],
        )


def score(
    raw: Path,
    predictions: Path,
    metrics: Path,
    questions: Path,
    params: ScoreParams,
    *,
    squad_v2: bool,
    keep: Keep,
) -> str:
    """Compare the answers to the test questions with the reference answers.

    `metrics` gets the figures, and by which protocol they were found: `keep` says which epoch of
    the training was kept. The folder `questions` gets questions.jsonl, with the score of each
    question.
    """
    with atomic_path(questions) as folder:
        folder.mkdir()
        scores = scored(raw, predictions, folder / QUESTIONS, params, squad_v2=squad_v2)
    protocol = {
        "normalizer": params.normalizer,
        "scored_split": SCORED,
        "kept_epoch": "best on validation" if keep == "best" else "last",
    }
    details = [
        figures(group) | {"group": name} | protocol
        for name, group in groups(scores, squad_v2=squad_v2).items()
    ]
    headline = {"exact_match": scores.exact_match, "f1": scores.f1}
    write_json(metrics, {"qa": headline | {"details": details}})
    return scores.sentence()


def scored(
    raw: Path,
    predictions: Path,
    questions: Path,
    params: ScoreParams,
    *,
    squad_v2: bool,
    split: str = SCORED,
) -> Scores:
    """Score the answers to the questions of `split`; write the file `questions`."""
    examples = list(read_examples(raw / f"{split}.jsonl"))
    scores, rows = score_predictions(examples, predictions, params, squad_v2=squad_v2)
    write_question_scores(questions, rows)
    return scores


def score_predictions(
    examples: Sequence[Example], predictions: Path, params: ScoreParams, *, squad_v2: bool
) -> tuple[Scores, list[QuestionScore]]:
    """Score the answers in a folder of the postprocess stage, in the order of the questions.

    Raises:
        RetuneError: a question has no answer, or an answer has no question.
    """
    gold = [(example.id, [answer.text for answer in example.answers]) for example in examples]
    texts = _read_predictions(predictions / "predictions.json")
    scores = evaluate_answers(gold, texts, squad_v2=squad_v2, normalizer=params.normalizer)
    return scores, question_scores(examples, scores, texts)


def _read_predictions(path: Path) -> dict[str, str]:
    """Read the answers by question id; an id that is not unique is refused."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise RetuneError(
            f"{path}: {excerpt(value)} is not an object of answers by question id; "
            "run the postprocess stage"
        )
    pairs = json.loads(path.read_bytes(), object_pairs_hook=list)
    if len(pairs) > len(value):
        twice = repeated(id_ for id_, _ in pairs)
        raise RetuneError(f"{path}: ids that appear twice: {listed(twice)}; give each one answer")
    return value


def evaluate_answers(
    gold: Gold, predictions: Mapping[str, str], *, squad_v2: bool, normalizer: str = "squad"
) -> Scores:
    """Score the answer to every gold question.

    Args:
        gold: ids and reference answers; the ids are the denominator.
        predictions: the answer of each of these ids, and of no other.
        squad_v2: whether questions may have no reference answer.
        normalizer: a name in `retune.tasks.qa.score.normalizers.NORMALIZERS`.

    Raises:
        RetuneError: ids or types of gold answers and predictions do not match.
    """
    ids = tuple(id_ for id_, _ in gold)
    _require_ids(ids, predictions)
    has_answer = np.array([bool(texts) for _, texts in gold])
    if not squad_v2 and not has_answer.all():
        lost = [id_ for id_, texts in gold if not texts]
        raise RetuneError(
            f"no reference answer for {listed(lost)}; set qa.squad_v2: true for data with "
            "unanswerable questions"
        )
    pairs = [
        best_scores(predictions[id_], texts, squad_v2=squad_v2, normalizer=normalizer)
        for id_, texts in gold
    ]
    normalize = NORMALIZERS[normalizer]
    return Scores(
        ids=ids,
        exact=np.array([exact == 1.0 for exact, _ in pairs]),
        f1s=np.array([value for _, value in pairs]),
        has_answer=has_answer,
        without_tokens=np.array([not any(map(normalize, texts)) for _, texts in gold]),
    )


def groups(scores: Scores, *, squad_v2: bool) -> dict[str, Scores]:
    """All questions; for SQuAD 2.0 also those with (HasAns) and without (NoAns) an answer."""
    if not squad_v2:
        return {"all": scores}
    parts = {"HasAns": scores.has_answer, "NoAns": ~scores.has_answer}
    return {"all": scores} | {
        name: scores.group(chosen) for name, chosen in parts.items() if chosen.any()
    }


def best_scores(
    text: str, references: Iterable[str], *, squad_v2: bool, normalizer: str = "squad"
) -> tuple[float, float]:
    """Exact match and F1 of one answer, from 0 to 1: the best over its reference answers."""
    normalize = NORMALIZERS[normalizer]
    tokens = reference_tokens(references, normalize, squad_v2=squad_v2)
    return best_of(normalize(text), tokens, squad_v2=squad_v2)


def reference_tokens(
    references: Iterable[str], normalize: Callable[[str], list[str]], *, squad_v2: bool
) -> list[list[str]]:
    """The tokens of each reference answer that counts."""
    tokens = [normalize(reference) for reference in dict.fromkeys(references)]
    return ([reference for reference in tokens if reference] or [[]]) if squad_v2 else tokens


def best_of(
    prediction: Sequence[str], references: Sequence[Sequence[str]], *, squad_v2: bool
) -> tuple[float, float]:
    """Exact match and F1 of an answer's tokens: the best over its references."""
    return (
        float(any(exact_match(prediction, reference) for reference in references)),
        max(f1(prediction, reference, squad_v2=squad_v2) for reference in references),
    )


def exact_match(prediction: Sequence[str], reference: Sequence[str]) -> bool:
    """Whether the tokens of a normaliser are the same."""
    return prediction == reference


def f1(prediction: Sequence[str], reference: Sequence[str], *, squad_v2: bool) -> float:
    """Harmonic mean of precision and recall over the tokens of a normaliser, from 0 to 1."""
    if squad_v2 and not (prediction and reference):
        return float(prediction == reference)
    common = (Counter(prediction) & Counter(reference)).total()
    if not common:
        return 0.0
    precision, recall = common / len(prediction), common / len(reference)
    return 2 * precision * recall / (precision + recall)


def figures(scores: Scores) -> dict[str, Any]:
    """Return the figures of a metrics file."""
    return {
        "exact_match": scores.exact_match,
        "exact_matches": int(scores.exact.sum()),
        "f1": scores.f1,
        "questions": len(scores.ids),
        "references_without_tokens": int((scores.without_tokens & scores.has_answer).sum()),
    }


def repeated(ids: Iterable[str]) -> list[str]:
    """Return the ids that appear more than once."""
    return [id_ for id_, count in Counter(ids).items() if count > 1]


def _require_ids(ids: Sequence[str], predictions: Mapping[str, object]) -> None:
    if not ids:
        raise RetuneError("there is no question to score; check qa.download and its limits")
    known = set(ids)
    problems = {
        "ids that appear twice in the data": repeated(ids),
        "questions without a prediction": [i for i in ids if i not in predictions],
        "predictions without a question": [str(i) for i in predictions if i not in known],
        "predictions that are not text": [
            f"{id_} ({excerpt(text)})"
            for id_, text in predictions.items()
            if not isinstance(text, str)
        ],
    }
    found = [f"{what}: {listed(which)}" for what, which in problems.items() if which]
    if found:
        raise RetuneError("; ".join(found) + "; run the postprocess stage on this data")
