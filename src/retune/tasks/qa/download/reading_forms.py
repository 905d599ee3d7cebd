"""Recognize published forms that are not supported, and say how to convert them."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

#: (keys of a form, its name and how to convert it)
_FORMS: list[tuple[set[str], str]] = [
    (
        {"context_text", "query_text"},
        "CMRC 2018's own form, whose answers have no offsets; take the data set's SQuAD-style "
        "files, or write context_text as `context`, query_text as `question`, query_id as `id`, "
        "and each answer as an object with `text` and `answer_start`",
    ),
    (
        {"original", "disfluent"},
        "Disfl-QA, which has questions by SQuAD 2.0's ids and no contexts; in SQuAD 2.0's own "
        "file, replace the `question` of each id by `disfluent` from here",
    ),
    (
        {"human_ans_spans", "human_ans_indices"},
        "SubjQA's own columns; write q_review_id as `id`, review as `context`, human_ans_spans "
        "as `answer_text` and the first number of human_ans_indices as `answer_start`, and leave "
        "the last two empty where the span is ANSWERNOTFOUND",
    ),
    (
        {"html_answer_start", "raw_html"},
        "KorQuAD 2's form with answers in HTML only; write each answer's place in `context` as "
        "`answer_start`, and its text there as `text`",
    ),
    (
        {"story", "questions"},
        "CoQA's form; write story as `context`, each turn's input_text as `question`, and of its "
        "answer span_text as `text` and span_start as `answer_start`",
    ),
    (
        {"passage", "qa_pairs"},
        "DROP's form, whose answers may be numbers or dates that are nowhere in the passage; "
        "keep the questions that spans answer, with passage as `context`",
    ),
    (
        {"supporting_facts", "context"},
        "HotpotQA's form; join the sentences of each `context` to one text, and write the answer's "
        "offset in it as `answer_start`",
    ),
    (
        {"detected_answers", "qid"},
        "MRQA's form; write qid as `id`, and of each detected answer `text` and the first number "
        "of char_spans as `answer_start`",
    ),
    (
        {"document_text", "annotations"},
        "Natural Questions' form; write document_text as `context`, and the short answers by "
        "their characters",
    ),
]
_LABELLED = (
    "labelled texts, as for sentiment, and not questions; name the file under "
    "`sentiment.datasets.files` in pipelines/sentiment/params.yaml, whose download stage checks it"
)
_LABELS = {"label", "labels", "sentiment", "polarity", "stars", "rating"}
_OF_QUESTIONS = {"question", "context", "answers", "answer", "qas", "paragraphs"}
_LABEL = re.compile(r"\s*(?:[-+]?\d(?:\.0*)?|true|false|positive|negative)\s*", re.IGNORECASE)
_LOOKS = 200  # objects that are examined
_DEPTH = 6


def published_form(value: Any) -> str:
    """Name the form of `value`, a JSON file or its first line, if it has no questions; else ""."""
    keys: set[str] = set()
    for names in islice(_keys(value, _DEPTH), _LOOKS):
        keys |= names
    return _named(keys)


def form_of_columns(names: Sequence[str]) -> str:
    """Name the form of a table by its first row, if it has no questions; else ""."""
    return _named(set(names)) or (
        _LABELLED if len(names) == 2 and any(map(_LABEL.fullmatch, names)) else ""
    )


def _named(keys: set[str]) -> str:
    for signs, advice in _FORMS:
        if signs <= keys and not (signs == {"html_answer_start", "raw_html"} and "text" in keys):
            return advice
    lowered = {key.casefold() for key in keys}
    is_labelled = not _LABELS.isdisjoint(lowered) and _OF_QUESTIONS.isdisjoint(lowered)
    return _LABELLED if is_labelled else ""


def _keys(value: Any, depth: int) -> Iterator[set[str]]:
    """Yield the keys of objects, going down along first items."""
    if isinstance(value, list):
        if value and depth:
            yield from _keys(value[0], depth - 1)
    elif isinstance(value, dict):
        yield {key for key in value if isinstance(key, str)} if len(value) < _LOOKS else set()
        if depth:
            for child in islice(value.values(), _LOOKS):
                yield from _keys(child, depth - 1)
