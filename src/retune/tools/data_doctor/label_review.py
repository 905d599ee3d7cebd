"""`retune doctor --model`: labels that are probably wrong, by models that have not seen them."""

import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
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
from retune.tasks.qa.labels.runs import FOLDERS, Answered, Labels, labels_of, read_run
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

    Attributes:
        problem: why no labels could be ranked, if so.
        findings: a note for each label that is probably wrong, by rank.
    """

    def __init__(self, model: str) -> None:
        self.problem: RetuneError | None = None
        self.findings: list[Finding] = []
        self._model = model
        self._read = Labels([], [], [], [], 0)
        self._ranked: list[Ranked] = []
        self._records: list[Record] = []

    def __call__(self, checkers: Sequence[Checker]) -> list[Finding]:
        """Rank the labels of all splits; return a finding for each that is probably wrong."""
        pairs = [(each, one.records[each.id]) for one in checkers for each in one.examples]
        self._records = [record for _, record in pairs]
        try:
            self._read = read_labels(self._model, [example for example, _ in pairs])
            self._ranked = ranked_labels(self._read.labels)
        except RetuneError as error:
            self.problem = error  # what else is wrong with the files is worth knowing all the same
        count = len(self._ranked)
        self.findings = [
            self._finding(one, f"{_message(one)} (rank {rank:,} of {count:,})")
            for rank, one in enumerate(self._ranked, 1)
            if one.is_flagged
        ]
        return self.findings

    def sentences(self) -> Iterator[str]:
        """Yield what was ranked, and what was not."""
        if self.problem:
            return
        share = sum(one.probability for one in self._ranked) / len(self._ranked)
        yield (
            f"labels ranked by {self._model} ({counted(self._read.runs, 'run')}): "
            f"{len(self._ranked):,}; probably wrong: {len(self.findings):,}"
        )
        yield f"estimated share of wrong labels: {share:.1%}; --json has the rank of each label"
        reasons = {
            "with other texts in these runs, or in no test split": self._read.unseen,
            "without a label that has a place": self._read.without,
            "with a label that no window holds whole": self._read.cut,
        }
        for reason, ids in reasons.items():
            if ids:
                yield f"not ranked: {counted(len(ids), 'question')} {reason}"
        if self._read.unseen:
            yield "  `retune sweep ... --folds 5` has each question in a test split"

    def rows(self) -> list[dict[str, Any]]:
        """Return all labels for JSON, the most probably wrong one first."""
        return [self._row(one) for one in self._ranked]

    def _row(self, one: Ranked) -> dict[str, Any]:
        place = self._finding(one, "")
        return {
            "file": place.file,
            "where": place.where,
            "id": place.id,
            "label": _answer(one.labelled, one.labelled.label),
            "expected": _answer(one.labelled, one.labelled.expected),
            "probability": one.probability,
            "flagged": one.is_flagged,
        }

    def _finding(self, one: Ranked, message: str) -> Finding:
        record, label = self._records[one.labelled.row], one.labelled
        given = record.values.get("answers")
        where, wanted = record.place("answers"), _answer(label, label.label)
        for number, answer in enumerate(given if isinstance(given, list) else ()):
            if isinstance(answer, dict) and wanted.items() <= answer.items():
                where = f"{where}/{number}"
                break
        return Finding(_KIND, KINDS[_KIND].severity, record.file, where, label.id, message)


def read_labels(model: str, examples: Sequence[Example]) -> Labels:
    """Read how likely labels are to the runs of a model, from DVC's cache or the workspace.

    Args:
        model: see `LabelReview`.
        examples: the questions, with the labels that are to be judged.

    Raises:
        RetuneError: there is no such model, or none of the labels can be ranked by it.
    """
    found = labels_of(examples, _runs(model))
    if found.labels:
        return found
    if len(found.without) == len(examples):
        raise RetuneError(f"--model {model}: no question has a label that has a place")
    raise RetuneError(
        f"--model {model}: none of these questions is in the test split of its runs, with the same "
        "text; examine the files that it was run on"
    )


def _runs(model: str) -> Iterator[Iterator[Answered]]:
    """Yield the test questions of each run; only one run's files are on disk at a time."""
    if model == WORKSPACE:
        scored_row(Ref(WORKSPACE, "", ""))
        yield read_run(_DATA)
        return
    for ref in Sources(Namespace(folder=Path(), data=None)).refs(model, folds=True):
        scored_row(ref)
        with tempfile.TemporaryDirectory() as folder:
            fetch_folders(ref, [_DATA / name for name in FOLDERS], Path(folder) / "run")
            yield read_run(Path(folder) / "run")


def _message(one: Ranked) -> str:
    label, expected = (
        excerpt(one.labelled.context[slice(*span)], 40)
        for span in (one.labelled.label, one.labelled.expected)
    )
    return (
        f"{label} (character {one.labelled.label[0]:,}) is wrong with a probability of "
        f"{one.probability:.2f}; expected {expected} (character {one.labelled.expected[0]:,})"
    )


def _answer(labelled: Labelled, span: Span) -> dict[str, Any]:
    return {"text": labelled.context[slice(*span)], "answer_start": span[0]}
