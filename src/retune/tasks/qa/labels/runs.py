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
        labels: every place that annotators marked, if a window holds it.
        unseen: ids of questions that no run answered.
        without: ids of questions without a placed label.
        cut: ids of questions with a label that no window holds.
        runs: how many there are.
    """

    labels: list[Labelled]
    unseen: list[str]
    without: list[str]
    cut: list[str]
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


def labels_of(examples: Sequence[Example], runs: Iterable[Iterable[Answered]]) -> Labels:
    """Return the labels of the questions that any run answered.

    The labels are those of `examples`, so that a corrected file can be ranked without training
    again. Each place that annotators marked is a label.

    Args:
        examples: the questions. Two with one id are told apart by question and context.
        runs: their models have not been trained on the questions they answered.
    """
    wanted: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        wanted.setdefault(example.id, []).append(row)
    found: dict[int, list[Answered]] = {}
    count = 0
    for run in runs:
        count += 1
        for answered in run:
            for row in wanted.get(answered.example.id, ()):
                if answered.spans and _is_same(answered.example, examples[row]):
                    found.setdefault(row, []).append(answered)
    result = Labels([], [], [], [], count)
    for row, example in enumerate(examples):
        if not example.spans:
            result.without.append(example.id)
        elif row not in found:
            result.unseen.append(example.id)
        else:
            labels = [*_labels(row, example, found[row])]
            held = [label for label in labels if label.readings.holds(label.label)]
            result.labels.extend(held)
            result.cut.extend([example.id] if len(held) < len(labels) else [])
    return result


def _labels(row: int, example: Example, answers: Sequence[Answered]) -> Iterator[Labelled]:
    readings = Readings([answered.reading for answered in answers])
    spans = dict.fromkeys(span for answered in answers for span in answered.spans)
    expected = max(spans, key=lambda span: readings.likelihood(span).total)
    about = row, example.id, example.title, example.context, example.question
    for label in dict.fromkeys(example.spans):
        yield Labelled(*about, label, expected, readings)


def _is_same(one: Example, other: Example) -> bool:
    return (one.context, one.question) == (other.context, other.question)


def _spans(line: Mapping[str, Any]) -> list[Span]:
    """Return the candidates of a line of nbest.jsonl, without the null answer."""
    found = ((each["start"], each["end"]) for each in line["candidates"])
    return [(start, end) for start, end in found if start is not None]
