"""The report on question answering: all models, both splits, and right and wrong answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from retune.core.errors import RetuneError
from retune.stats.seed_spread import Variant, warnings
from retune.tasks.qa.task import TASK
from retune.tools.claims.looks import looks, told
from retune.tools.experiments.experiments import MODEL, RANKING
from retune.tools.experiments.table import columns
from retune.tools.report.content import Block, Column, Remark, Section, Table, section
from retune.tools.report.results import Metrics, figures_in
from retune.tools.report.sources import Reader, read_json
from retune.tools.report.task_sections import _answers, _optimism

CLAIMED = ()
_VARIANTS = "metrics/qa_variants.json"


def add(reader: Reader, found: Sequence[Metrics]) -> list[Section]:
    """Return the models of `make variants`, and scores and answers of the last run."""
    models = reader.shaped(_VARIANTS, lambda: _models(reader, found)) or []
    answers = reader.shaped(_answers.PREDICTIONS, lambda: _of_answers(reader, found)) or []
    splits = reader.shaped(_optimism.TEST, lambda: _of_splits(reader, found)) or []
    return [*section("All models", models), *section("Test and validation", splits), *answers]


def _models(reader: Reader, found: Sequence[Metrics]) -> list[Block]:
    if not (reader.root / _VARIANTS).is_file():
        return [Remark(f"Not run yet: {_VARIANTS}. `make variants` makes it.", "missing")]
    rows = sorted(read_json(reader.root, _VARIANTS), key=lambda row: -row[RANKING])
    cells = tuple((r[MODEL], *map(r.get, columns())) for r in rows)
    heads = (Column(figure.label, figure.unit) for figure in columns().values())
    caption = "Every model, all else as in params.yaml"
    table = Table(caption, (Column("model", "code"), *heads), cells)
    headings = {TASK.key(figure.name): figure.label for figure in TASK.compared}
    remarks = [Remark(sentence) for sentence in warnings([*map(_variant, rows)], headings)]
    return [table, *_of_another_run(rows, found), *remarks]


def _of_another_run(rows: Sequence[Mapping[str, Any]], found: Sequence[Metrics]) -> list[Remark]:
    """Return a remark if no row has the last run's scores."""
    read = figures_in(_scores(found)).scalars
    scores = {figure: read[figure.name] for figure in TASK.compared if figure.name in read}
    listed_ = [[row.get(TASK.key(figure.name)) for figure in scores] for row in rows]
    if not scores or [*scores.values()] in listed_:
        return []
    shown = " and ".join(f"{figure.label} {score:.2f}" for figure, score in scores.items())
    text = (
        f"This table is not of the last run, which has {shown}: `make variants` runs all models "
        "again, here and with today's params."
    )
    return [Remark(text, "missing")]


def _variant(row: Mapping[str, Any]) -> Variant:
    # One run each; the seed does not matter here.
    keys = [TASK.key(figure.name) for figure in TASK.compared]
    values = {key: {0: float(row[key])} for key in keys if key in row}
    return Variant(row[MODEL], row[MODEL], values)


def _of_splits(reader: Reader, found: Sequence[Metrics]) -> list[Block]:
    blocks = _optimism.optimism(reader.root, figures_in(_scores(found)).scalars.get("f1"))
    counted = len(looks(reader.root))
    return [*blocks, Remark(told(counted))] if counted else blocks


def _of_answers(reader: Reader, found: Sequence[Metrics]) -> list[Section]:
    if not _answers.there(reader.root):
        text = (
            "Answers by kind of question, calibration and examples need "
            f"{_answers.PREDICTIONS} and {_answers.RAW}, which are missing: `dvc repro` "
            "creates them."
        )
        return section("Answers", [Remark(text, "missing")])
    scores = _scores(found)
    answered = _answers.read(reader.root, _normalizer(scores))
    told = figures_in(scores).scalars
    if _answers.f1(answered) != told.get("f1"):
        raise RetuneError(
            f"{_answers.PREDICTIONS}: of another run than the scores in the metrics; `dvc repro` "
            "makes both from one run"
        )
    return [
        *section("Answers by kind of question", _answers.buckets(answered)),
        *section("Calibration", _answers.calibration(answered)),
        *section("Examples", _answers.examples(answered)),
    ]


def _scores(found: Sequence[Metrics]) -> Any:
    """Return the metrics of the score stage; nothing if there are none."""
    return next((m.value for m in found if m.output.stage == "score"), {})


def _normalizer(scores: Any) -> str:
    details = scores["qa"]["details"] if scores else [{"normalizer": "squad"}]
    return str(details[0]["normalizer"])
