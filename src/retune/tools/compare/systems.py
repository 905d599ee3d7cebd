"""Systems that answered the same questions, and the results of comparing them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retune.core.errors import RetuneError, listed
from retune.core.numerics import Doubles
from retune.stats.clusters import Clusters
from retune.stats.paired import Comparison, compare_each
from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tools.compare.by_draw import common_draws, compare_by_draw
from retune.tools.compare.clustering import By, clusters_of

#: The scores that systems are compared by, with their headings; the verdict is by the last.
SCORES = {"exact_match": "EM", "f1": "F1"}
DECISIVE = "f1"

Run = Sequence[QuestionScore]


@dataclass(frozen=True)
class System:
    """A system with the score of each question.

    Attributes:
        name: in tables.
        runs: of each seed, the questions in any order.
        seeds: of these runs; None where it is not known.
        costs: by name (`retune.tasks.task.costs`); empty where they are not known.
        rules: settings that decide how answers are scored; empty where they are not known.
        folds: of these runs, such as "1/5"; None for one on all questions.
        draws: of the training questions, by `retune few-shot`; None for another run.
    """

    name: str
    runs: Sequence[Run]
    seeds: Sequence[int | None] = (None,)
    costs: Mapping[str, float] = field(default_factory=dict)
    rules: Mapping[str, object] = field(default_factory=dict)
    folds: Sequence[str | None] = (None,)
    draws: Sequence[int | None] = (None,)


@dataclass(frozen=True)
class Result:
    """Systems compared by each score.

    Attributes:
        systems: by name, the one with the highest F1 first.
        by: what questions are grouped by.
        clusters: of the questions.
        scores: a comparison for each of `SCORES`, in percent.
        questions: what was asked, in the order of the arrays.
        draws: how many draws of training questions all systems share; 0 without any.
    """

    systems: Mapping[str, System]
    by: By
    clusters: Clusters
    scores: Mapping[str, Comparison]
    questions: Run
    draws: int = 0


def compared(systems: Sequence[System], by: By = "passage") -> Result:
    """Compare systems on the same questions, and draw by draw if all are of `retune few-shot`.

    Raises:
        RetuneError: there are fewer than two systems, or two of one name, or they answered
            different questions or were scored by different rules, or have different draws.
    """
    names = [system.name for system in systems]
    if len(names) < 2:
        raise RetuneError("a comparison needs two systems or more; name another one")
    if len(set(names)) < len(names):
        raise RetuneError(
            f"two systems have one name: {', '.join(names)}; write NAME=FILE to name a file"
        )
    require_comparable(systems)
    first = systems[0].runs[0]
    order = [question.id for question in first]
    clusters = clusters_of(first, by)
    draws = common_draws({each.name: each.draws for each in systems}) if len(clusters) > 1 else 0
    if draws:
        systems = [_in_order_of_draws(each) for each in systems]
    tables = {s: {each.name: percent(each, s, order) for each in systems} for s in SCORES}
    if draws:
        scores = {s: compare_by_draw(each, clusters) for s, each in tables.items()}
    else:
        scores = compare_each(tables, clusters)
    best = {name: systems[names.index(name)] for name in scores[DECISIVE].means}
    return Result(best, by, clusters, scores, first, draws)


def require_comparable(systems: Sequence[System]) -> None:
    """Refuse systems that answered different questions or were scored by different rules.

    Raises:
        RetuneError: with the first difference.
    """
    first = systems[0].runs[0]
    for system in systems:
        _require_rules(systems[0], system)
        for run in system.runs:
            _require_questions(systems[0].name, first, system.name, run)


def _in_order_of_draws(system: System) -> System:
    order = sorted(range(len(system.draws)), key=lambda place: system.draws[place] or 0)
    return replace(
        system,
        runs=[system.runs[place] for place in order],
        seeds=[system.seeds[place] for place in order],
        draws=[system.draws[place] for place in order],
    )


def percent(system: System, score: str, order: Sequence[str]) -> Doubles:
    """Return a score of each run and question, shape (R, N), in percent."""
    rows = []
    for run in system.runs:
        by_id = {question.id: float(getattr(question, score)) for question in run}
        rows.append([by_id[id_] for id_ in order])
    return 100.0 * np.array(rows, np.float64)


def _require_rules(one: System, other: System) -> None:
    common = one.rules.keys() & other.rules.keys()
    different = [name for name in sorted(common) if one.rules[name] != other.rules[name]]
    if different:
        name = different[0]
        raise RetuneError(
            f"{one.name} was scored with {name}: {one.rules[name]}, {other.name} with "
            f"{other.rules[name]}; give both the same value and score them again"
        )


def _require_questions(name: str, one: Run, other_name: str, other: Run) -> None:
    mine = {question.id: question.passage for question in one}
    theirs = {question.id: question.passage for question in other}
    problems = {
        f"only {name} has": [id_ for id_ in mine if id_ not in theirs],
        f"only {other_name} has": [id_ for id_ in theirs if id_ not in mine],
        "with another passage": [id_ for id_ in mine if theirs.get(id_, mine[id_]) != mine[id_]],
    }
    found = [f"questions {what}: {listed(ids, 3)}" for what, ids in problems.items() if ids]
    if found:
        raise RetuneError(
            f"{name} and {other_name} did not answer the same questions ({'; '.join(found)}); "
            "compare systems that were scored on the same data"
        )
