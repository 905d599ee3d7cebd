"""What questions are grouped by: their passage, their article, or nothing."""

from collections.abc import Sequence
from typing import Literal

from retune.stats.clusters import Clusters
from retune.tasks.qa.score.question_scores import QuestionScore

By = Literal["passage", "article", "none"]

#: What the groups are called, one and several.
NAMES = {
    "passage": ("passage", "passages"),
    "article": ("article", "articles"),
    "none": ("question", "questions"),
}


def clusters_of(questions: Sequence[QuestionScore], by: By) -> Clusters:
    """Group questions; those that were drawn together belong to one group."""
    return Clusters.named([_key(question, by) for question in questions])


def counted(count: int, by: By) -> str:
    """Return a number of groups in words, such as `53 passages`."""
    one, several = NAMES[by]
    return f"{count:,} {one if count == 1 else several}"


def _key(question: QuestionScore, by: By) -> str:
    return {"passage": question.passage, "article": question.article, "none": question.id}[by]
