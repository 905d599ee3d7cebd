"""Runs in the folds of a data set, pooled: one of them scored each question."""

from collections import Counter
from dataclasses import replace

from retune.core.errors import RetuneError, listed
from retune.tools.compare.systems import Run, System


def pooled(system: System) -> System:
    """Return a system with one run for each seed, which has the questions of all folds.

    Raises:
        RetuneError: a fold is missing or there twice, or a question is in two folds.
    """
    if not any(system.folds):
        return system
    runs: dict[int | None, list[Run]] = {}
    folds: dict[int | None, list[str | None]] = {}
    for seed, fold, run in zip(system.seeds, system.folds, system.runs, strict=True):
        runs.setdefault(seed, []).append(run)
        folds.setdefault(seed, []).append(fold)
    for seed, found in folds.items():
        _require_all(f"{system.name} with seed {seed}", found)
    pools = [[question for run in group for question in run] for group in runs.values()]
    for pool in pools:
        counts = Counter(question.id for question in pool)
        if twice := [id_ for id_, count in counts.items() if count > 1]:
            raise RetuneError(
                f"{system.name}: questions in two folds: {listed(twice, 3)}; the data changed "
                "between the runs, so run `retune sweep` again with --replace"
            )
    return replace(system, runs=pools, seeds=[*runs], folds=[None] * len(pools))


def _require_all(name: str, folds: list[str | None]) -> None:
    """Refuse runs that are not one in each fold."""
    counts = {fold.partition("/")[2] if fold else None for fold in folds}
    if len(counts) > 1 or None in counts:
        raise RetuneError(
            f"{name}: its runs have different folds ({listed(sorted(map(str, folds)))}); name the "
            "experiments that belong together: NAME=ONE,OTHER"
        )
    count = counts.pop()
    every = [f"{fold}/{count}" for fold in range(1, int(count or 0) + 1)]
    if missing := [fold for fold in every if fold not in folds]:
        raise RetuneError(
            f"{name}: folds {listed(missing)} are missing; run `retune sweep ... --folds {count}`, "
            "which needs all folds to pool their questions"
        )
    if len(folds) > len(every):
        raise RetuneError(
            f"{name}: a fold has two runs ({listed(sorted(map(str, folds)))}); name one of them"
        )
