"""The output of `retune curve`."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from retune.stats.power_law import LEVEL, Forecast
from retune.tables.terminal_tables import duration, print_table, print_wrapped
from retune.tools.curve.forecast import TIMES, WORTH, Result, read_result
from retune.tools.curve.plan import Part, Plan, plan
from retune.tools.experiments.grid import parse_seeds
from retune.tools.experiments.listing import curve_runs, unfinished
from retune.tools.experiments.sweep import require_all, sweep

#: The stage that scores the validation questions; it needs no test question.
STAGE = "validate"

_ADVICE = {
    "more data helps": "more data helps.",
    "the curve is flat": "the curve is flat, so try another encoder or other settings instead.",
    "within noise": "this is within noise. More --seeds or validation questions narrow it.",
}


def run(arguments: Namespace) -> int:
    """Print what a curve costs, run the parts that are missing, and print the forecast.

    Raises:
        RetuneError: nothing can be planned, or a run failed.
    """
    planned = plan(parse_seeds(arguments.seeds))
    unfinished()  # removes what is left of a killed curve
    done = set() if arguments.replace else curve_runs().keys()
    missing = [part for part in planned.parts if planned.experiment(part).name not in done]
    print(cost_in_words(planned, missing), file=sys.stderr)
    if arguments.dry_run:
        return 0
    if missing:
        experiments = [planned.experiment(part) for part in missing]
        outcomes = sweep(experiments, replace=arguments.replace, stages=[STAGE])
        require_all(outcomes, "runs", "run `retune curve` again, which runs what is missing")
    result = read_result(planned, curve_runs())
    if arguments.json:
        print(json.dumps(as_json(planned, result), indent=2))
    else:
        print_result(result)
    return 0


def cost_in_words(planned: Plan, missing: Sequence[Part]) -> str:
    """Return how many trainings are missing, and what they cost."""
    if not missing:
        return f"all {len(planned.parts)} trainings are done"
    cost = planned.cost(missing)
    done = len(planned.parts) - len(missing)
    return (
        f"{len(missing)} {'training' if len(missing) == 1 else 'trainings'}"
        f"{f' ({done} more are done)' if done else ''} on "
        f"{sum(part.questions for part in missing):,} questions and about "
        f"{planned.windows * cost:,.0f} windows in all: {cost:.2f} times the last run, about "
        f"{duration(planned.seconds * cost)} of training on the machine of the last run"
    )


def print_result(result: Result) -> None:
    """Print the scores of the runs, the forecasts and the verdict."""
    rows = [
        [f"{one.questions:,.0f}", str(len(one.scores)), f"{one.f1:.2f}",
         f"{min(one.scores):.2f} to {max(one.scores):.2f}"]
        for one in result.measured
    ]  # fmt: skip
    print_table(["questions"], ["runs", "F1", "lowest to highest"], rows)
    print()
    forecasts = [
        [f"{times * result.questions:,}", f"{score.value:.1f}",
         f"{score.low:.1f} to {score.high:.1f}", f"{gain.value:+.1f}",
         f"{gain.low:+.1f} to {gain.high:+.1f}"]
        for times in TIMES
        for score, gain in [(result.score(times), result.gain(times))]
    ]  # fmt: skip
    headings = ["F1 expected", f"{LEVEL} %", "gain", f"{LEVEL} %"]
    print_table(["questions"], headings, forecasts)
    print()
    print_wrapped(sentence(result))
    print_wrapped(
        f"F1 is the mean over {result.validation:,} validation questions. The power law is "
        f"{_law(result)}. The intervals cover other seeds, other training articles and the misfit "
        "of the law; those of F1 also cover other passages."
    )


def sentence(result: Result) -> str:
    """Return what twice the data would bring, and what to do."""
    gain = result.gain(2)
    return (
        f"Twice the data would bring {gain.value:+.1f} F1 [{gain.low:+.1f}, {gain.high:+.1f}] "
        f"({LEVEL} %): {_ADVICE[result.verdict]}"
    )


def as_json(planned: Plan, result: Result) -> dict[str, Any]:
    """Return everything for other programs."""
    curve, cost = result.curve, planned.cost(planned.parts)
    return {
        "cost": {
            "runs": len(planned.parts),
            "questions": sum(part.questions for part in planned.parts),
            "trainings": cost,
            "seconds": planned.seconds * cost,
        },
        "measured": [
            {"questions": one.questions, "f1": list(one.scores)} for one in result.measured
        ],
        "validation_questions": result.validation,
        "law": {
            "factor": float(curve.factors[0]),
            "exponent": float(curve.exponents[0]),
            "floor": float(curve.floors[0]),
            "unit": curve.smallest,
        },
        "level": LEVEL / 100,
        "forecasts": [
            {
                "questions": times * result.questions,
                "f1": _ends(result.score(times)),
                "gain": _ends(result.gain(times)),
            }
            for times in TIMES
        ],
        "worth": WORTH,
        "verdict": result.verdict,
        "sentence": sentence(result),
    }


def _ends(forecast: Forecast) -> dict[str, float]:
    return forecast._asdict()


def _law(result: Result) -> str:
    curve = result.curve
    return (
        f"100 - F1 = {curve.factors[0]:.1f} * (n / {curve.smallest:,})^-{curve.exponents[0]:.2f} "
        f"+ {curve.floors[0]:.1f}"
    )
