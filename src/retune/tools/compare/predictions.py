"""Predictions of any system, a JSON object of answers by question id, and their scores."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np

from retune.core.errors import RetuneError, excerpt, listed
from retune.core.user_files import read_lines
from retune.tasks.qa.download.checking import Rules
from retune.tasks.qa.download.single_file import read_checked
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.score.question_scores import QuestionScore, question_scores
from retune.tasks.qa.score.score import Scores, evaluate_answers, repeated

Missing = Literal["zero", "error"]


@dataclass(frozen=True)
class Scored:
    """Predictions with the score of each question.

    Attributes:
        scores: of all questions, in the order of the data file.
        questions: the same, with passages and answers.
        answers: the predicted texts of the questions, by id.
        missing: ids of questions without a prediction, which score 0.
        surplus: ids of predictions without a question, which count for nothing.
    """

    scores: Scores
    questions: Sequence[QuestionScore]
    answers: dict[str, str]
    missing: Sequence[str]
    surplus: Sequence[str]


def read_gold(data: Path, *, squad_v2: bool) -> list[Example]:
    """Read the questions of a data file with their reference answers.

    Raises:
        RetuneError: the file cannot be read or has errors, or questions have no reference answer
            and `squad_v2` is false.
    """
    rules = Rules(squad_v2=True, realign=False, drop_unanswerable=False, only_scored=True)
    examples = read_checked(data, rules)
    if not examples:
        raise RetuneError(f"{data}: there is no question in it")
    without = [example.id for example in examples if not example.answers]
    if without and not squad_v2:
        raise RetuneError(
            f"{data}: {len(without):,} questions have no reference answer: {listed(without)}; "
            "give --squad-v2 for data with unanswerable questions"
        )
    return examples


def score_answers(
    answers: Mapping[str, str],
    examples: Sequence[Example],
    *,
    squad_v2: bool,
    normalizer: str = "squad",
    missing: Missing = "zero",
) -> Scored:
    """Score the answers of a predictions file.

    Args:
        answers: by question id.
        examples: the questions.
        squad_v2: whether questions may have no reference answer.
        normalizer: a name in `retune.tasks.qa.score.normalizers.NORMALIZERS`.
        missing: whether a question without a prediction scores 0, as in the SQuAD 1.1 script, or
            is an error. The SQuAD 2.0 script fails on it.

    Raises:
        RetuneError: none of the questions is answered, or not all are and `missing` is "error".
    """
    ids = [example.id for example in examples]
    known = set(ids)
    absent = [id_ for id_ in ids if id_ not in answers]
    if len(absent) == len(ids):
        raise RetuneError(
            f"none of the {len(answers):,} predictions has the id of a question in the data; give "
            "the data file that they were made for"
        )
    if absent and missing == "error":
        raise RetuneError(
            f"{len(absent):,} of {len(ids):,} questions have no prediction: {listed(absent)}; add "
            "them, or score them 0 with --missing zero and without --na-prob"
        )
    gold = [(example.id, [answer.text for answer in example.answers]) for example in examples]
    texts = {id_: answers.get(id_, "") for id_ in ids}
    found = evaluate_answers(gold, texts, squad_v2=squad_v2, normalizer=normalizer)
    answered = np.array([id_ in answers for id_ in ids])
    scores = replace(found, exact=found.exact & answered, f1s=found.f1s * answered)
    surplus = [id_ for id_ in answers if id_ not in known]
    kept = {id_: answers[id_] for id_ in answers if id_ in known}
    return Scored(scores, question_scores(examples, scores, kept), kept, absent, surplus)


def read_answers(path: Path) -> dict[str, str]:
    """Read a JSON object of answers by question id.

    Raises:
        RetuneError: it is none, an id stands twice, or an answer is not a text.
    """
    return _read_object(path, "answers", 'such as {"q1": "in 1912"}', "a text", _is_text)


def read_probabilities(path: Path, ids: Iterable[str]) -> dict[str, float]:
    """Read a JSON object of probabilities of no answer by question id.

    Raises:
        RetuneError: it is none, one of `ids` is not in it, or all are equal.
    """
    example = 'such as {"q1": 0.25}'
    values = _read_object(path, "probabilities", example, "a finite number", _is_finite)
    if absent := [id_ for id_ in ids if id_ not in values]:
        raise RetuneError(
            f"{path}: no probability for {len(absent):,} predictions: {listed(absent)}; add them"
        )
    if len(values) > 1 and len(set(values.values())) == 1:
        raise RetuneError(
            f"{path}: each probability is {next(iter(values.values())):g}, so the best threshold "
            "would only follow the order of the questions; give the model's probabilities, or "
            "leave out --na-prob"
        )
    return {id_: float(value) for id_, value in values.items()}


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of a JSON object, with keys that stand twice."""


def _read_object(
    path: Path, what: str, example: str, kind: str, fits: Callable[[Any], bool]
) -> dict[str, Any]:
    text = "\n".join(read_lines(path, f"give a JSON file of {what} by question id, {example}"))
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RetuneError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(pairs, _Pairs):
        raise RetuneError(
            f"{path}: {excerpt(pairs)} is not an object of {what} by question id, {example}"
        )
    if twice := repeated(id_ for id_, _ in pairs):
        raise RetuneError(f"{path}: ids that stand twice: {listed(twice)}; give each one value")
    wrong = [f"{id_} ({excerpt(value)})" for id_, value in pairs if not fits(value)]
    if wrong:
        raise RetuneError(
            f"{path}: {what} that are not {kind}: {listed(wrong)}; allowed: {example}"
        )
    return dict(pairs)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
