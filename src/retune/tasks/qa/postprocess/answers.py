"""The answer to a question with its n-best list, and counts over many questions."""

import dataclasses
from typing import Any, NamedTuple

from retune.core.errors import listed


class RankedAnswer(NamedTuple):
    """The answer to one question with its n-best list, best candidate first.

    Lists of K values, an entry a candidate; start and end are characters of the context. In
    a SQuAD 2.0 run the null answer is one more candidate: "", without offsets and logits, at
    its place by score. The first candidate is the answer unless `null_threshold` decides
    otherwise.
    """

    id: str
    text: str
    null_score: float
    texts: list[str]
    start: list[int | None]
    end: list[int | None]
    start_logit: list[float | None]
    end_logit: list[float | None]
    probability: list[float]

    @property
    def has_span(self) -> bool:
        """Whether any window of the question has a token of the context."""
        return any(start is not None for start in self.start)

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """The n-best list as dicts, shape (K,)."""
        columns = (
            self.texts, self.start, self.end, self.start_logit, self.end_logit, self.probability
        )  # fmt: skip
        return [
            {
                "end": end,
                "end_logit": end_logit,
                "probability": probability,
                "start": start,
                "start_logit": start_logit,
                "text": text,
            }
            for text, start, end, start_logit, end_logit, probability in zip(*columns, strict=True)
        ]

    def line(self) -> dict[str, Any]:
        """The line of this answer in `nbest.jsonl`."""
        return {"candidates": self.candidates, "id": self.id, "null_score": self.null_score}


@dataclasses.dataclass(slots=True)
class Counts:
    """Counts of answers, and the questions that could not be answered correctly.

    `without_tokens` are the ids of questions without any token of the context, `too_long`
    those whose reference answers all have more tokens than an answer may have.
    """

    answers: int = 0
    empty: int = 0
    without_tokens: list[str] = dataclasses.field(default_factory=list)
    too_long: list[str] = dataclasses.field(default_factory=list)

    def add(self, answer: RankedAnswer) -> None:
        """Add the answer to one more question."""
        self.answers += 1
        self.empty += not answer.text
        if not answer.has_span:
            self.without_tokens.append(answer.id)

    def sentence(self) -> str:
        """Counts, for people."""
        text = f"{self.answers:,} answers, {self.empty:,} of them empty"
        if self.too_long:
            text += f"; max_answer_length is less than the reference of {listed(self.too_long)}"
        lost = self.without_tokens
        return f"{text}; no token of the context for {listed(lost)}" if lost else text

    def report(self) -> dict[str, Any]:
        """The content of `report.json`."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(slots=True)
class Answers:
    """Texts by question id, in the order of the data."""

    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    counts: Counts = dataclasses.field(default_factory=Counts)

    def add(self, answer: RankedAnswer) -> None:
        """Add the answer to one more question."""
        self.texts[answer.id] = answer.text
        self.counts.add(answer)
