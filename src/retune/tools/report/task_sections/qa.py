"""The report on question answering: all models, both splits, and right and wrong answers."""

from collections.abc import Sequence
from typing import Any

from retune.core.errors import RetuneError
from retune.tasks.qa.score.question_scores import read_question_scores
from retune.tasks.task import costs as task_costs
from retune.tools.claims.looks import looks, told
from retune.tools.compare import saved
from retune.tools.compare.systems import DECISIVE, SCORES
from retune.tools.compare.tables import interval, rank
from retune.tools.report.content import (
    IN_SHORT,
    Bar,
    Bars,
    Block,
    Cell,
    Column,
    Remark,
    Section,
    Table,
    section,
)
from retune.tools.report.results import Metrics, figures_in
from retune.tools.report.sources import PREDICTIONS, TEST, Reader, read_json
from retune.tools.report.task_sections import (
    _answers,
    _failures,
    _optimism,
    _perturbations,
    _questions,
    _summary,
    _trust,
)

CLAIMED = (
    *(*_failures.CLAIMED, "qa_groups.csv", "qa_errors.csv"),
    *(*_trust.CLAIMED, "qa_reliability.csv", "qa_risk_coverage.csv"),
    *(*_perturbations.CLAIMED, "qa_perturbations.csv"),
)
_VARIANTS = "metrics/qa_variants.json"
_ANALYSIS = "metrics/qa_analysis.json"
_PERTURBED = "metrics/qa_perturbations.json"
_WITHIN = Column("95 %", "score")


def add(reader: Reader, found: Sequence[Metrics]) -> list[Section]:
    """Return the last run in short, the models of `make variants`, and where the run fails."""
    looked = reader.guarded(lambda: len(looks(reader.root))) or 0
    short = reader.guarded(lambda: _in_short(reader, found, looked)) or []
    models = reader.shaped(_VARIANTS, lambda: _models(reader, found)) or []
    splits = reader.shaped(_optimism.TEST, lambda: _of_splits(reader, found, looked)) or []
    failed = reader.shaped(_ANALYSIS, lambda: _failed(found)) or []
    trusted = reader.shaped(_trust.METRICS, lambda: _trusted(reader, found)) or []
    perturbed = reader.shaped(_PERTURBED, lambda: _perturbed(found)) or []
    return [
        *section(IN_SHORT, short),
        *section("All models", models),
        *section("Test and validation", splits),
        *section("Where it fails", failed),
        *section("Confidence", trusted),
        *section("Perturbed questions", perturbed),
        *_of_answers(reader, found),
    ]


def _in_short(reader: Reader, found: Sequence[Metrics], looked: int) -> list[Block]:
    compared = reader.shaped(_VARIANTS, lambda: _compared(reader))
    there = reader.there(_optimism.TEST)
    path = reader.root / _optimism.TEST
    questions = reader.shaped(_optimism.TEST, lambda: read_question_scores(path)) if there else None
    return [*_summary.summary(reader.root, found, compared, questions or (), looked)]


def _compared(reader: Reader) -> saved.Saved | None:
    """Return what `make variants` wrote, if it is there and of its form."""
    if not (reader.root / _VARIANTS).is_file():
        return None
    compared: saved.Saved = read_json(reader.root, _VARIANTS)
    saved.pairs(compared)
    return compared


def _failed(found: Sequence[Metrics]) -> list[Block]:
    analysis = _of_file(found, _ANALYSIS)
    return [*_failures.failures(analysis)] if analysis else []


def _trusted(reader: Reader, found: Sequence[Metrics]) -> list[Block]:
    figures = _of_file(found, _trust.METRICS)
    is_there = figures and reader.there(_trust.COVERAGE)
    return [*_trust.trust(figures, reader.root / _trust.COVERAGE)] if is_there else []


def _perturbed(found: Sequence[Metrics]) -> list[Block]:
    metrics = _of_file(found, _PERTURBED)
    return [*_perturbations.perturbations(metrics)] if metrics else []


def _of_file(found: Sequence[Metrics], path: str) -> Any:
    """Return the figures of a metrics file; None if it is not there."""
    return next((m.value["qa"] for m in found if m.output.path == path), None)


def _models(reader: Reader, found: Sequence[Metrics]) -> list[Block]:
    if not (reader.root / _VARIANTS).is_file():
        return [Remark(f"Not run yet: {_VARIANTS}. `make variants` makes it.", "missing")]
    compared = read_json(reader.root, _VARIANTS)
    systems = compared["systems"]
    scores = [heading for label in SCORES.values() for heading in (Column(label, "score"), _WITHIN)]
    costs = [figure for name, figure in task_costs().items() if name in systems[0]["costs"]]
    columns = (Column("model", "code"), *scores, Column("rank", "score"))
    table = Table(
        "Every model, all else as in params.yaml",
        (*columns, *(Column(figure.label, figure.unit) for figure in costs)),
        tuple(_row(system, [figure.name for figure in costs]) for system in systems),
    )
    remarks = [Remark(sentence) for sentence in saved.summary(compared)]
    chart = Bars(f"{SCORES[DECISIVE]} of each model", "F1 in percent", _dots(systems), dots=True)
    return [chart, table, *remarks, _pairs(compared), *_of_another_run(systems, found)]


def _dots(systems: Sequence[saved.Saved]) -> tuple[Bar, ...]:
    means = {system["name"]: saved.means(system)[DECISIVE] for system in systems}
    return tuple(Bar(name, mean.value, mean.low, mean.high) for name, mean in means.items())


def _row(system: saved.Saved, costs: Sequence[str]) -> tuple[Cell, ...]:
    means = saved.means(system).values()
    scores = [cell for mean in means for cell in (mean.value, interval(mean))]
    return system["name"], *scores, rank(system["rank"]), *map(system["costs"].get, costs)


def _pairs(compared: saved.Saved) -> Table:
    heads = Column("model", "code"), Column("less", "code"), Column("difference", "score")
    found = Column("p", "number"), Column("could show", "score"), Column("verdict")
    rows = [
        (p.one, p.other, p.value, interval(p), p.adjusted, p.detectable, p.verdict)
        for p in saved.pairs(compared)
    ]
    caption = f"Differences in {SCORES[DECISIVE]}, paired by question"
    return Table(caption, (*heads, _WITHIN, *found), tuple(rows))


def _of_another_run(systems: Sequence[saved.Saved], found: Sequence[Metrics]) -> list[Remark]:
    """Return a remark if no run in the table has the last run's scores."""
    read = figures_in(_scores(found)).scalars
    scores = {name: read[name] for name in SCORES if name in read}
    runs = [run for system in systems for run in system["runs"]]
    if not scores or _summary.is_among(runs, scores):
        return []
    shown = " and ".join(f"{SCORES[name]} {score:.2f}" for name, score in scores.items())
    text = (
        f"This table is not of the last run, which has {shown}: `make variants` runs all models "
        "again, here and with today's params."
    )
    return [Remark(text, "missing")]


def _of_splits(reader: Reader, found: Sequence[Metrics], looked: int) -> list[Block]:
    f1 = figures_in(_scores(found)).scalars.get("f1")
    there = f1 is not None and reader.there(_optimism.VALIDATION)
    blocks = _optimism.optimism(reader.root, f1) if there else _optimism.absent()
    return [*blocks, Remark(told(looked))] if looked else blocks


def _of_answers(reader: Reader, found: Sequence[Metrics]) -> list[Section]:
    scores = _scores(found)
    if not scores or not _answers.there(reader.root):
        text = (
            f"The answers need {PREDICTIONS} and {TEST}, which are missing or not "
            "of the last run: `dvc repro` creates them."
        )
        return section("Questions", [Remark(text, "missing")])
    answered = reader.shaped(PREDICTIONS, lambda: _answered(reader, scores)) or []
    if not answered:
        return []
    listed = reader.shaped(_questions.ANALYSIS, lambda: _browsed(reader, answered, scores)) or []
    return section("Questions", listed)


def _answered(reader: Reader, scores: Any) -> list[_answers.Answered]:
    answered = _answers.read(reader.root, _normalizer(scores))
    if _answers.f1(answered) != figures_in(scores).scalars.get("f1"):
        raise RetuneError(
            f"{PREDICTIONS}: of another run than the scores in the metrics; `dvc repro` "
            "makes both from one run"
        )
    return answered


def _browsed(reader: Reader, answered: Sequence[_answers.Answered], scores: Any) -> list[Block]:
    needed = (_questions.ANALYSIS, _questions.FEATURES)
    if not all(map(reader.there, needed)):
        text = (
            f"The browser of questions needs {' and '.join(needed)}, which are missing or not of "
            "the last run: `dvc repro` creates them."
        )
        return [Remark(text, "missing"), *_answers.examples(answered)]
    return [_questions.browser(reader.root, answered, _normalizer(scores), reader.against)]


def _scores(found: Sequence[Metrics]) -> Any:
    """Return the metrics of the score stage; nothing if there are none."""
    return next((m.value for m in found if m.output.stage == "score"), {})


def _normalizer(scores: Any) -> str:
    details = scores["qa"]["details"] if scores else [{"normalizer": "squad"}]
    return str(details[0]["normalizer"])
