"""Forecasts of learning curves, tested: how often the score on all of the data is in the interval.

Each hold-back trains a small learner on parts of real training data, as `retune curve` does, none
of them more than half. It forecasts the score on all of the data, and then trains on all of it.
Question answering is scored by F1, sentences by accuracy, in percent. The data lies beside the
checkout (../shared/data); the script names the files that are missing and skips them.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.frozen_learners import Learner, classifier, span_ranker
from bench.inputs import REAL, ROOT, read_squad
from bench.measure import RESULTS, plain_parser
from retune.core.numerics import Doubles
from retune.ingest.subsample import draw
from retune.stats.clusters import Clusters
from retune.stats.power_law import LEVEL, Run, fit
from retune.tasks.qa.download.subsets import train_part
from retune.tasks.qa.questions.examples import Answer, Example
from retune.tools.curve.plan import Part, parts_of

Mask = NDArray[np.bool_]

SEEDS = (1, 2, 3)
#: The passages that are scored: the forecast has seen them, or it has not.
PASSAGES = ("same_passages", "other_passages")
_SENTENCE_POOLS = 7
_VALIDATION = 0.25
_PIECE = 1_200  # characters of a long text that a question is asked about
_CORPORA = ROOT / "src/retune/corpora"
#: Files of question answering data, and how many pools they make.
_FILES = {
    "new-wiki": ([REAL / "squadshifts/new_wiki_v1.0.json"], 3),
    "squad-train": ([REAL / "squad-train-sample/train.json"], 4),
    "squad2": ([REAL / "squad2/dev-v2.0.json"], 1),
    "faquad": ([REAL / "faquad/train.json", REAL / "faquad/dev.json"], 1),
    "covid-qa": ([REAL / "covid-qa/200423_covidQA.json"], 1),
    "xquad-es": ([REAL / "xquad/xquad.es.json"], 1),
    "encyclopaedia": ([_CORPORA / "encyclopaedia/train.json"], 1),
    "enciclopedia": ([_CORPORA / "enciclopedia/train.json"], 1),
}
#: Features that a span ranker sees, and the ridge of its regression.
_RANKERS = {"all features": (slice(None), 100.0), "few features": (slice(0, 48), 10.0)}
_SENTENCES = {"train": REAL / "sst2/train.tsv", "dev": REAL / "sst2/dev.tsv"}


class HoldBack(NamedTuple):
    """Real training data, validation data, and a learner that is scored on it."""

    name: str
    train: Sequence[Example]
    validation: Sequence[Example]
    learner: Learner


class Trained(NamedTuple):
    """Runs of a hold-back on parts of the data, the largest ones of them, and on all of it."""

    parts: Sequence[Run]
    largest: Sequence[Run]
    whole: Sequence[Run]


def main() -> None:
    """Measure every hold-back, and print or save how many intervals hold the score."""
    parser = plain_parser("hold_backs", str(__doc__), "--save")
    parser.add_argument("--save", action="store_true", help="save the figures to bench/results/")
    options = parser.parse_args()
    rows = []
    for held in hold_backs():
        rows.append(measured(held))
        print(_line(rows[-1]), file=sys.stderr)
    figures = {"summary": summary(rows), "hold_backs": rows}
    print(json.dumps(figures["summary"], indent=2))
    print(f"{time.process_time():.0f} CPU seconds", file=sys.stderr)
    if options.save:
        text = json.dumps(figures, indent=2) + "\n"
        (RESULTS / "hold_backs.json").write_text(text, encoding="utf-8")


def hold_backs() -> Iterator[HoldBack]:
    """Yield every hold-back whose data is there."""
    for name, (files, count) in _FILES.items():
        if _are_there(name, files):
            examples = [_piece(e) for path in files for e in read_squad(path)]
            for number, pool in enumerate(_pools(examples, count)):
                train, validation = _parted(pool)
                for kind, (columns, ridge) in _RANKERS.items():
                    learner = span_ranker(validation, columns, ridge)
                    yield HoldBack(f"{name} {number + 1}, {kind}", train, validation, learner)
    if _are_there("sst2", [*_SENTENCES.values()]):
        train, dev = ([*_read_sentences(path)] for path in _SENTENCES.values())
        for number in range(_SENTENCE_POOLS):
            for dimensions, ridge in ((384, 20.0), (96, 2.0)):
                learner = classifier(dev, dimensions, ridge)
                name = f"sst2 {number + 1}, {dimensions} dimensions"
                yield HoldBack(name, train[number::_SENTENCE_POOLS], dev, learner)


def measured(held: HoldBack) -> dict[str, Any]:
    """Return the forecasts of a hold-back and the scores that came.

    The second forecast sees every other passage, and the remaining passages are scored. It shows
    what happens on passages that a forecast has not seen.
    """
    parts = parts_of(held.train, SEEDS)
    runs = [Run(part.questions, _scores(held, part)) for part in parts]
    largest = [run for run, part in zip(runs, parts, strict=True) if part.share == parts[-1].share]
    whole = [Run(len(held.train), held.learner(held.train, seed)) for seed in SEEDS]
    passages = [example.context for example in held.validation]
    half = _every_other(passages)
    every = np.ones_like(half)
    asked = [(every, every), (half, ~half)]
    outcomes = [_outcome(Trained(runs, largest, whole), passages, *pair) for pair in asked]
    return {
        "name": held.name,
        "questions": len(held.train),
        "validation_questions": len(held.validation),
        "runs": len(runs),
        "trainings": sum(run.size for run in runs) / len(held.train),
        "largest_part": max(run.size for run in runs) / len(held.train),
        **dict(zip(PASSAGES, outcomes, strict=True)),
    }


def _outcome(
    trained: Trained, passages: Sequence[str], known: Mask, scored: Mask
) -> dict[str, Any]:
    """Forecast from the known validation questions, and compare with the scored ones.

    Args:
        trained: runs of the hold-back.
        passages: of the validation questions.
        known: which questions the forecast knows.
        scored: which questions have the score that is forecast.
    """
    runs, largest, whole = trained
    clusters = Clusters.named([name for name, here in zip(passages, known, strict=True) if here])
    curve = fit([Run(run.size, run.scores[known]) for run in runs], clusters)
    size = statistics.fmean(run.size for run in largest)
    came = _mean(whole, scored)
    gain = came - _mean(largest, scored)
    score_forecast, gain_forecast = curve.score(whole[0].size), curve.gain(size, whole[0].size)
    return {
        "score": came,
        "forecast": score_forecast._asdict(),
        "inside": score_forecast.low <= came <= score_forecast.high,
        "gain": gain,
        "gain_forecast": gain_forecast._asdict(),
        "gain_inside": gain_forecast.low <= gain <= gain_forecast.high,
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many intervals hold what came, and how wide they are."""
    return {
        "hold_backs": len(rows),
        "level": LEVEL / 100,
        "most_trainings": max(row["trainings"] for row in rows),
        "largest_part": max(row["largest_part"] for row in rows),
        **{name: _covered([row[name] for row in rows]) for name in PASSAGES},
    }


def _covered(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    errors = [abs(row["forecast"]["value"] - row["score"]) for row in rows]
    found: dict[str, Any] = {"mean_absolute_error": statistics.fmean(errors)}
    for name, inside, forecast in (
        ("score", "inside", "forecast"),
        ("gain", "gain_inside", "gain_forecast"),
    ):
        widths = [row[forecast]["high"] - row[forecast]["low"] for row in rows]
        held = sum(row[inside] for row in rows)
        found[name] = {"inside": held, "median_width": statistics.median(widths)}
    return found


def _mean(runs: Sequence[Run], questions: Mask) -> float:
    return statistics.fmean(float(run.scores[questions].mean()) for run in runs)


def _every_other(passages: Sequence[str]) -> Mask:
    """Return which questions are about every other passage, in a drawn order."""
    order = sorted({*passages}, key=lambda passage: draw(2, passage))
    chosen = {*order[::2]}
    return np.array([passage in chosen for passage in passages])


def _scores(held: HoldBack, part: Part) -> Doubles:
    return held.learner(train_part(held.train, part.share, part.seed), part.seed)


def _pools(examples: Sequence[Example], count: int) -> list[list[Example]]:
    """Deal whole articles, in a drawn order, to as many pools."""
    pool_of = {name: rank % count for rank, name in enumerate(_articles(examples, 0))}
    pools: list[list[Example]] = [[] for _ in range(count)]
    for example in examples:
        pools[pool_of[_article(example)]].append(example)
    return pools


def _parted(pool: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the training and validation questions of a pool, by article."""
    names = _articles(pool, 1)
    taken = {*names[: max(2, round(_VALIDATION * len(names)))]}
    train = [example for example in pool if _article(example) not in taken]
    return train, [example for example in pool if _article(example) in taken]


def _articles(examples: Sequence[Example], number: int) -> list[str]:
    return sorted({*map(_article, examples)}, key=lambda name: draw(number, name))


def _article(example: Example) -> str:
    return example.title or example.context


def _piece(example: Example) -> Example:
    """Return a question about a long text as one about the piece with its answer."""
    answer = example.answers[0]
    if len(example.context) < 2 * _PIECE:
        return example
    begin = answer.start - answer.start % _PIECE
    context = example.context[begin : max(begin + _PIECE, answer.end)]
    title = example.title or example.context[:60]
    moved = Answer(answer.text, answer.start - begin)
    return replace(example, context=context, title=title, answers=(moved,))


def _read_sentences(path: Path) -> Iterator[Example]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        label, _, sentence = line.partition("\t")
        yield Example(str(number), "", sentence, label, ())


def _are_there(name: str, files: Sequence[Path]) -> bool:
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        print(f"{name}: skipped, because {missing[0]} is not there", file=sys.stderr)
    return not missing


def _line(row: Mapping[str, Any]) -> str:
    same, other = row["same_passages"], row["other_passages"]
    ends, gain = same["forecast"], same["gain_forecast"]
    return (
        f"{row['name']}: {same['score']:.1f}, forecast {ends['value']:.1f} [{ends['low']:.1f}, "
        f"{ends['high']:.1f}]; gain {same['gain']:+.1f}, forecast {gain['value']:+.1f} "
        f"[{gain['low']:+.1f}, {gain['high']:+.1f}]; inside: {same['inside']} "
        f"{same['gain_inside']}, on other passages: {other['inside']} {other['gain_inside']}"
    )


if __name__ == "__main__":
    main()
