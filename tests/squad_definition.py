"""The scores of SQuAD 1.1 and 2.0 by their published definitions, step by step.

Written apart from `retune.tasks.qa.score.score` and in another way (whole documents, dicts and
loops), as something to compare it with.
"""

import re
import string
from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]


def tokens(text: str) -> list[str]:
    """Lower case, without punctuation, without articles, split at white space."""
    kept = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def exact(prediction: str, reference: str) -> float:
    """1 where the two have the same tokens, else 0."""
    return 1.0 if tokens(prediction) == tokens(reference) else 0.0


def overlap(prediction: str, reference: str) -> float:
    """F1 of two texts, 0 where no token is shared: all there is to it in SQuAD 1.1."""
    one, other, shared = tokens(prediction), tokens(reference), 0
    rest = list(other)
    for token in one:
        if token in rest:
            rest.remove(token)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = 1.0 * shared / len(one), 1.0 * shared / len(other)
    return (2 * precision * recall) / (precision + recall)


def overlap_or_both_empty(prediction: str, reference: str) -> float:
    """F1 in SQuAD 2.0: two texts without tokens agree."""
    one, other = tokens(prediction), tokens(reference)
    return overlap(prediction, reference) if one and other else float(one == other)


def questions(document: Document) -> Iterator[tuple[str, list[str]]]:
    """Id and reference answers of each question of a document in SQuAD's layout."""
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                yield question["id"], [answer["text"] for answer in question["answers"]]


def squad(document: Document, predictions: dict[str, str]) -> dict[str, float]:
    """SQuAD 1.1: a question without a prediction counts as wrong, others are ignored."""
    total, matches, f1 = 0, 0.0, 0.0
    for name, references in questions(document):
        total += 1
        if name in predictions:
            matches += max(exact(predictions[name], reference) for reference in references)
            f1 += max(overlap(predictions[name], reference) for reference in references)
    return {"exact_match": 100.0 * matches / total, "f1": 100.0 * f1 / total}


def squad_v2(
    document: Document,
    predictions: dict[str, str],
    no_answer: dict[str, float],
    threshold: float = 1.0,
) -> dict[str, float]:
    """SQuAD 2.0: a question over the threshold is left unanswered; with the best thresholds."""
    answerable = {name: bool(references) for name, references in questions(document)}
    raw: dict[str, dict[str, float]] = {"exact_match": {}, "f1": {}}
    for name, references in questions(document):
        golds = [reference for reference in references if tokens(reference)] or [""]
        raw["exact_match"][name] = max(exact(predictions[name], gold) for gold in golds)
        raw["f1"][name] = max(overlap_or_both_empty(predictions[name], gold) for gold in golds)
    figures: dict[str, float] = {}
    for metric, scores in raw.items():
        final = {
            name: float(not answerable[name]) if no_answer[name] > threshold else score
            for name, score in scores.items()
        }
        groups = {
            "": list(final),
            "HasAns_": [name for name in final if answerable[name]],
            "NoAns_": [name for name in final if not answerable[name]],
        }
        for prefix, names in groups.items():
            if names:
                figures[f"{prefix}total"] = len(names)
                total = 100.0 * sum(final[name] for name in names)
                figures[f"{prefix}{metric}"] = total / len(names)
        best, best_threshold = _best(scores, predictions, no_answer, answerable)
        figures[f"best_{metric}"] = best
        figures[f"best_{metric}_threshold"] = best_threshold
    return figures


def _best(
    scores: dict[str, float],
    predictions: dict[str, str],
    no_answer: dict[str, float],
    answerable: dict[str, bool],
) -> tuple[float, float]:
    current = best = float(sum(not there for there in answerable.values()))
    threshold = 0.0
    for name in sorted(no_answer, key=lambda name: no_answer[name]):
        if answerable[name]:
            current += scores[name]
        elif predictions[name]:
            current -= 1
        if current > best:
            best, threshold = current, no_answer[name]
    return 100.0 * best / len(scores), threshold
