"""`retune doctor --model`: labels that are probably wrong, by models that have not seen them."""

import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, excerpt
from retune.ingest.findings import Finding
from retune.tasks.qa.download.checking import Checker
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.download.reading import Record
from retune.tasks.qa.labels.corruption import Span
from retune.tasks.qa.labels.evidence import Labelled
from retune.tasks.qa.labels.ranking import Ranked, ranked_labels
from retune.tasks.qa.labels.runs import FOLDERS, Labels, labels_of, read_run
from retune.tasks.qa.questions.examples import Example
from retune.tools.compare.sources import WORKSPACE, Sources, fetch_folders, scored_row
from retune.tools.data_doctor.output import counted
from retune.tools.experiments.listing import Ref

_KIND = "implausible_label"
_DATA = Path("data/qa")


class LabelReview:
    """Ranks the labels of examined questions by the stored answers of a model's runs.

    Args:
        model: an experiment, the common name of runs with several seeds or in several folds, a
            commit, or `workspace`.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._read = Labels([], [], [], 0)
        self._ranked: list[Ranked] = []
        self._places: list[Finding] = []

    def __call__(self, checkers: Sequence[Checker]) -> list[Finding]:
        """Rank the labels of all splits; return a finding for each that is probably wrong.

        Raises:
            RetuneError: there is no such model, or none of these questions is in the test split of
                its runs.
        """
        examples = [example for checker in checkers for example in checker.examples]
        self._read = read_labels(self._model, examples)
        self._ranked = ranked_labels(self._read.labels)
        records = {id_: record for checker in checkers for id_, record in checker.records.items()}
        self._places = [_place(one, records[one.labelled.id]) for one in self._ranked]
        count = len(self._ranked)
        return [
            replace(place, message=f"{_message(one)} (rank {rank:,} of {count:,})")
            for rank, (one, place) in enumerate(zip(self._ranked, self._places, strict=True), 1)
            if one.is_flagged
        ]

    def sentences(self) -> Iterator[str]:
        """Yield what was ranked, and what was not."""
        flagged = sum(one.is_flagged for one in self._ranked)
        share = sum(one.probability for one in self._ranked) / len(self._ranked)
        yield (
            f"labels ranked by {self._model} ({counted(self._read.runs, 'run')}): "
            f"{len(self._ranked):,}, of which {flagged:,} are probably wrong"
        )
        yield f"estimated share of wrong labels: {share:.1%}; --json has the rank of each"
        if unseen := len(self._read.unseen):
            yield (
                f"not checked: labels of {counted(unseen, 'question')} that are in no test split of"
            )
            yield "  these runs; after `retune sweep ... --folds 5` all are"
        if without := len(self._read.without):
            count = counted(without, "question")
            yield f"not checked: {count} without an answer: whether there is one"

    def rows(self) -> list[dict[str, Any]]:
        """Return all labels for JSON, the most probably wrong one first."""
        return [
            {
                "file": place.file,
                "where": place.where,
                "id": one.labelled.id,
                "label": _answer(one.labelled, one.labelled.label),
                "expected": _answer(one.labelled, one.labelled.expected),
                "probability": one.probability,
                "flagged": one.is_flagged,
            }
            for one, place in zip(self._ranked, self._places, strict=True)
        ]


def read_labels(model: str, examples: Sequence[Example]) -> Labels:
    """Read how likely labels are to the runs of a model, from DVC's cache or the workspace.

    Args:
        model: see `LabelReview`.
        examples: the questions, with the labels that are to be judged.

    Raises:
        RetuneError: there is no such model, or none of the questions is in the test split of its
            runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = [*_data_of(model, Path(folder))]
        found = labels_of(examples, [read_run(each) for each in data])
    if not found.labels:
        raise RetuneError(
            f"--model {model}: none of these questions is in the test split of its runs; examine "
            "the files that it was run on"
        )
    return found


def _data_of(model: str, folder: Path) -> Iterator[Path]:
    """Yield a folder with the stored data of each run."""
    if model == WORKSPACE:
        scored_row(Ref(WORKSPACE, "", ""))
        yield _DATA
        return
    for number, ref in enumerate(Sources(Namespace(folder=Path(), data=None)).refs(model)):
        scored_row(ref)
        fetch_folders(ref, [_DATA / name for name in FOLDERS], folder / str(number))
        yield folder / str(number)


def _place(one: Ranked, record: Record) -> Finding:
    severity, where = KINDS[_KIND].severity, record.place("answers")
    return Finding(_KIND, severity, record.file, where, one.labelled.id, "")


def _message(one: Ranked) -> str:
    label, expected = (
        excerpt(one.labelled.context[slice(*span)], 40)
        for span in (one.labelled.label, one.labelled.expected)
    )
    return (
        f"{label} (character {one.labelled.label[0]:,}) is wrong with probability "
        f"{one.probability:.2f}; expected {expected} (character {one.labelled.expected[0]:,})"
    )


def _answer(labelled: Labelled, span: Span) -> dict[str, Any]:
    return {"text": labelled.context[slice(*span)], "answer_start": span[0]}
