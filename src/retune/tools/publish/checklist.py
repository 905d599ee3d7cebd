"""Answers to the reproducibility questions of ACL Rolling Review's checklist.

The questions are those of https://aclrollingreview.org/responsibleNLPresearch in our words, by
their numbers. What retune cannot know is left to the authors.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from retune import __version__
from retune.tools.publish.card import Labels, base_model, dataset_name
from retune.tools.publish.published_run import PublishedRun

_YOURS = "Yours to answer: retune does not know."
_HEAD = """\
# Checklist of ACL Rolling Review

What this run knows of the answers. Name the sections of your paper instead of these files.

| question | about | answer |
|---|---|---|
"""


def write_checklist(
    path: Path, run: PublishedRun, labels: Labels, environment: Sequence[str]
) -> None:
    """Write the answers as a table of Markdown."""
    rows = "".join(f"| {' | '.join(row)} |\n" for row in _rows(run, labels, environment))
    path.write_text(_HEAD + rows, encoding="utf-8")


def _rows(
    run: PublishedRun, labels: Labels, environment: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    base = base_model(run) or "the pretrained encoder, if it was used"
    license_ = f"The model: {labels.license}. " if labels.license else ""
    passages = f"{run.passages:,} passages"
    yield "A1", "limitations", "README.md, Limits."
    yield "A2", "risks", _YOURS
    yield (
        "B1",
        "creators of artifacts cited",
        f"To cite: {base}; {dataset_name(run, labels)}; retune.",
    )
    yield "B2", "licenses", f"{license_}Those of data and pretrained encoder: yours to add."
    yield "B3", "intended use", _YOURS
    yield "B4", "personal or offensive content", _YOURS
    yield "B5", "documentation of artifacts", "README.md; croissant.json, if the data is your own."
    yield "B6", "statistics of the data", f"README.md, Data. {_counts(run)}"
    yield "C1", "parameters, budget, hardware", _budget(run, environment)
    yield (
        "C2", "setup and hyperparameters",
        f"params.yaml has all of them. {_chosen(run)} How settings were chosen: yours to add.",
    )  # fmt: skip
    yield (
        "C3", "descriptive statistics",
        f"README.md, Results: one run (seed {run.setting('qa.seed')}), with 95 % intervals by a "
        f"bootstrap over {passages}. `retune sweep` and `retune compare` give the spread of seeds.",
    )  # fmt: skip
    yield (
        "C4", "packages and their settings",
        f"retune {__version__}; {', '.join(environment[1:])}. Scores: SQuAD's, normalizer "
        f"`{run.setting('qa.score.normalizer')}`. requirements.lock of the project has all.",
    )  # fmt: skip
    yield "D1-D5", "human annotators", _YOURS
    yield "E1", "AI assistants", _YOURS


def _counts(run: PublishedRun) -> str:
    splits = ("train", "validation", "test")
    counts = {split: run.value("data", "questions", split=split) for split in splits}
    parts = [f"{count:,} {split}" for split, count in counts.items() if count]
    return f"Questions: {', '.join(parts)}." if parts else ""


def _budget(run: PublishedRun, environment: Sequence[str]) -> str:
    parameters, seconds = run.value("costs", "parameters"), run.value("times", "train_seconds")
    training = f"one training took {seconds:,.0f} s without evaluations"
    return f"{parameters:,} parameters; {training} on {environment[0]}."


def _chosen(run: PublishedRun) -> str:
    if run.setting("qa.train.keep") == "best":
        return "The epoch with the best validation F1 was kept."
    return "The last epoch was kept."
