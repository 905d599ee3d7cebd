"""Runs in folds: their questions are pooled, and nothing else is compared."""

from compare.scored_runs import PASSAGES, rows

from retune.tools.compare.folds import pooled
from retune.tools.compare.systems import System, compared
from retune.tools.experiments.experiments import runs_of

HALVES = [[row for row in rows(2) if int(row.passage[-1]) % 2 == half] for half in (0, 1)]


def system(*folds: str | None, seeds: tuple[int, ...] = (), name: str = "bert") -> System:
    """A system with a run in each fold; odd folds have one half of the passages."""
    runs = [HALVES[int((fold or "1")[0]) % 2] for fold in folds]
    return System(name, runs, seeds or (1,) * len(folds), folds=folds)


def test_the_questions_of_all_folds_are_one_run_for_each_seed() -> None:
    found = pooled(system("2/2", "1/2", "1/2", "2/2", seeds=(1, 1, 2, 2)))
    assert found.seeds == [1, 2]
    for run in found.runs:
        assert sorted(run, key=lambda row: row.id) == sorted(rows(2), key=lambda row: row.id)
    whole = System("lstm", [rows(1)])
    result = compared([found, whole])
    assert len(result.clusters) == PASSAGES
    assert result.scores["f1"].means["bert"].value == 50.0


def test_systems_without_folds_stay_as_they_are() -> None:
    one = system(None, None, seeds=(1, 2))
    assert pooled(one) is one


def test_a_name_stands_for_all_its_folds_and_seeds() -> None:
    for name in ("bert", "bert-seed=1", "bert-fold=1of5", "bert-fold=1of5-seed=1"):
        assert runs_of("bert").fullmatch(name)
    for name in ("bert-lr=1", "bert-fold=1", "bert-seed=1-fold=1of5", "roberta"):
        assert not runs_of("bert").fullmatch(name)
