"""The output of `retune few-shot`."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.stats.seed_spread import spread
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tools.compare.clustering import counted
from retune.tools.compare.systems import SCORES
from retune.tools.compare.tables import interval
from retune.tools.experiments.experiments import Experiment
from retune.tools.experiments.grid import python_value
from retune.tools.experiments.listing import few_shot_runs, unfinished
from retune.tools.experiments.sweep import require_all, sweep
from retune.tools.few_shot.cost import Cost, cost_of, in_words
from retune.tools.few_shot.plan import STAGE, Plan, Sizes, plan
from retune.tools.few_shot.pool import listed_splits, shared_articles
from retune.tools.few_shot.results import Result, read_result

_AGAIN = "give the same command again, which runs what is missing"


def run(arguments: Namespace) -> int:
    """Print what a protocol draws and costs, run the draws that are missing, print the scores.

    Raises:
        RetuneError: nothing can be planned, a draw still runs elsewhere, or a draw failed.
    """
    sizes = Sizes(arguments.train, arguments.validation, arguments.test, arguments.draws)
    planned = plan(arguments.words, sizes)
    done = set() if arguments.replace else few_shot_runs().keys()
    missing = [each for each in planned.experiments if each.name not in done]
    cost = cost_of(planned, len(missing))
    for line in announcement(planned, missing, cost):
        print(line, file=sys.stderr)
    if arguments.dry_run:
        return 0
    _require_none_running(planned)
    if missing:
        outcomes = sweep(missing, replace=arguments.replace, stages=[STAGE])
        require_all(outcomes, "draws", _AGAIN)
    result = read_result(planned, few_shot_runs())
    if arguments.json:
        print(json.dumps(as_json(planned, result), indent=2))
    else:
        print_result(planned, result)
    return 0


def announcement(planned: Plan, missing: Sequence[Experiment], cost: Cost) -> list[str]:
    """Return what is drawn from what, and what that costs, one sentence a line."""
    train, draws = planned.pool["train"].questions, planned.sizes.draws
    lines = [
        f"{planned.name}: {draws} draws",
        *listed_splits(planned.pool, planned.sizes.questions),
        *shared_articles(planned.pool),
    ]
    if train < 2 * planned.sizes.train:
        lines.append(
            f"warning: {train:,} training questions are less than twice the "
            f"{planned.sizes.train:,} of a draw, so two draws share {_shared(planned):.0%} of "
            "their questions and vary less than new data would; give a smaller --train"
        )
    done = draws - len(missing)
    if not missing:
        return [*lines, f"cost: none, all {draws} draws are done"]
    rest = f"; {done} of {draws} draws are done" if done else ""
    return [*lines, f"cost: {in_words(cost)}{rest}"]


def print_result(planned: Plan, result: Result) -> None:
    """Print the scores of the draws, their mean and spread, and what the interval covers."""
    rows = [
        [str(draw.number), *(f"{draw.scores[score]:.2f}" for score in SCORES), _epoch(draw.epoch)]
        for draw in result.draws
    ]
    print_table(["draw"], [*SCORES.values(), "epoch kept"], rows)
    print()
    rows = []
    for score, label in SCORES.items():
        varied = spread(dict(enumerate(result.of_each(score))))
        mean = result.means[score]
        others = (f"{varied[name]:.2f}" for name in ("std", "min", "max"))
        rows.append([label, f"{mean.value:.2f}", interval(mean), *others])
    headings = ["mean", "95 %", "sd of draws", "lowest", "highest"]
    print_table([f"{len(result.draws)} draws"], headings, rows)
    print()
    for sentence in sentences(planned, result):
        print_wrapped(sentence)


def sentences(planned: Plan, result: Result) -> list[str]:
    """Return what was drawn, what the intervals cover, and how to compare the protocol."""
    train, pool = planned.sizes.train, planned.pool["train"].questions
    keep = planned.values["qa"]["train"]["keep"]
    chosen = (
        f"The epoch was chosen on {planned.questions['validation']:,} validation questions"
        if keep == "best"
        else "The last epoch was kept"
    )
    covered = (
        "The intervals cover other training sets, other seeds and other test passages (two crossed "
        "factors, draws and passages)."
        if result.clusters > 1
        else "There are no intervals, because all test questions are about one passage."
    )
    return [
        f"Drawn: {len(result.draws)} times {train:,} of {pool:,} training questions, each time "
        f"without replacement and with a seed of its own. Two draws share {_shared(planned):.0%} "
        f"of their questions on average. {chosen}, and the score is that of {result.questions:,} "
        f"test questions in {counted(result.clusters, result.by)}. Both are the same in all draws.",
        f"{covered} They do not cover other validation questions, and other data sets even less.",
        f"To compare it with another setting on the same draws, run `retune few-shot` for that, "
        f"and then `retune compare {planned.name} few-shot-OTHER`.",
    ]


def as_json(planned: Plan, result: Result) -> dict[str, Any]:
    """Return everything for other programs; scores are in percent."""
    cost = cost_of(planned, len(result.draws))
    return {
        "name": planned.name,
        "settings": {key: python_value(value) for key, value in planned.settings.items()},
        "questions": dict(planned.questions),
        "pool": {
            name: {"questions": split.questions, "articles": len(split.titles)}
            for name, split in planned.pool.items()
        },
        "shared": _shared(planned),
        "cost": {
            "trainings": cost.draws,
            "questions": cost.questions,
            "windows": cost.windows,
            "tokens": cost.tokens,
            "epochs": cost.epochs,
            "times_last_run": cost.trainings,
            "seconds": cost.seconds,
        },
        "draws": [
            {"draw": draw.number, **draw.scores, "epoch": draw.epoch} for draw in result.draws
        ],
        "scores": {
            score: vars(result.means[score]) | spread(dict(enumerate(result.of_each(score))))
            for score in SCORES
        },
        "cluster": result.by,
        "clusters": result.clusters,
    }


def _shared(planned: Plan) -> float:
    """Return which part of its questions a draw shares with another one, on average."""
    return planned.sizes.train / planned.pool["train"].questions


def _epoch(epoch: int | None) -> str:
    return "-" if epoch is None else str(epoch)


def _require_none_running(planned: Plan) -> None:
    """Remove what is left of killed draws, and refuse to start one that still runs."""
    names = {each.name for each in planned.experiments}
    running = [ref.name for ref in unfinished() if ref.state == "running" and ref.name in names]
    if running:
        raise RetuneError(
            f"{listed(running)} still runs, perhaps of a `retune few-shot` that was killed; wait "
            f"until it ends, or end its DVC process, and {_AGAIN}"
        )
