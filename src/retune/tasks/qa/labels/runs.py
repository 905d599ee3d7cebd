"""What runs stored about the questions of their test splits, and the labels of these questions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from retune.core.errors import RetuneError
from retune.core.files import read_json_lines
from retune.tasks.qa.labels.corruption import Span
from retune.tasks.qa.labels.evidence import Labelled
from retune.tasks.qa.labels.likelihoods import Reading, Readings, read_readings
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.questions.splits import SCORED

#: The folders of a run that are read, in its data folder.
FOLDERS = ("test", "test_features", "logits", "predictions")


class Answered(NamedTuple):
    """A question that a model answered.

    Attributes:
        example: the question, as the model met it.
        spans: the candidates for its answer, the best first.
        reading: how likely spans of its context are to the model.
    """

    example: Example
    spans: list[Span]
    reading: Reading


class Labels(NamedTuple):
    """The labels of questions, as far as runs have answered these.

    Attributes:
        labels: every place that annotators marked.
        unseen: ids of questions that no run answered.
        without: ids of questions without a label.
        runs: how many there are.
    """

    labels: list[Labelled]
    unseen: list[str]
    without: list[str]
    runs: int


def read_run(data: Path) -> Iterator[Answered]:
    """Yield the test questions in the data folder of a run.

    Raises:
        RetuneError: its parts are of different questions.
    """
    test, features, logits, predictions = (data / name for name in FOLDERS)
    parts = zip(
        read_examples(test / f"{SCORED}.jsonl"),
        read_json_lines(predictions / N_BEST),
        read_readings(features / f"{SCORED}.arrow", logits),
        strict=True,
    )
    try:
        for example, line, reading in parts:
            if example.id != line["id"]:
                raise ValueError
            yield Answered(example, _spans(line), reading)
    except ValueError:
        raise RetuneError(
            f"{test} and {predictions} are of different questions; run `dvc repro`, which makes "
            "both from one run"
        ) from None


def labels_of(examples: Iterable[Example], runs: Sequence[Iterable[Answered]]) -> Labels:
    """Return the labels of the questions that any run answered.

    The labels are those of `examples`, so that a corrected file can be ranked without training
    again. Each place that annotators marked is a label.

    Args:
        examples: the questions.
        runs: their models have not been trained on the questions they answered.
    """
    wanted = {example.id: example for example in examples}
    without = [id_ for id_, example in wanted.items() if not example.spans]
    found: dict[str, list[Answered]] = {}
    for run in runs:
        for answered in run:
            if _is_same(answered.example, wanted.get(answered.example.id)):
                found.setdefault(answered.example.id, []).append(answered)
    labels = [label for id_, answers in found.items() for label in _labels(wanted[id_], answers)]
    unseen = [id_ for id_, example in wanted.items() if example.spans and id_ not in found]
    return Labels(labels, unseen, without, len(runs))


def _labels(example: Example, answers: list[Answered]) -> Iterator[Labelled]:
    readings = Readings([answered.reading for answered in answers])
    spans = dict.fromkeys(span for answered in answers for span in answered.spans)
    if not spans:  # no window has a token of the context
        return
    expected = max(spans, key=lambda span: readings.likelihood(span).total)
    for label in dict.fromkeys(example.spans):
        yield Labelled(
            example.id, example.title, example.context, example.question, label, expected, readings
        )


def _is_same(one: Example, other: Example | None) -> bool:
    return other is not None and (one.context, one.question) == (other.context, other.question)


def _spans(line: Mapping[str, Any]) -> list[Span]:
    """Return the candidates of a line of nbest.jsonl, without the null answer."""
    found = ((each["start"], each["end"]) for each in line["candidates"])
    return [(start, end) for start, end in found if start is not None]
