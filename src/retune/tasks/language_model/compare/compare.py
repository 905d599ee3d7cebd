"""Stage `compare`: compare the model before and after training, and the decoding methods.

Figures are compared text by text (`retune.stats.paired`). A text has one pair of sentences, and is
a cluster of its own. Each interval is for one difference; p-values are adjusted (Holm) for all
pairs of states, or of methods of one state, with the same figure. Both cover the choice of the
texts, not the training seed.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.files import write_csv, write_json
from retune.core.numerics import Doubles
from retune.stats.clusters import Clusters
from retune.stats.paired import Comparison, Difference, Draws, compare_each
from retune.tables.terminal_tables import print_table
from retune.tasks.language_model.compare.text_scores import perplexity_scores, text_scores
from retune.tasks.language_model.outputs.records import (
    PAIRS,
    TEXTS,
    GeneratedText,
    ReferencePair,
    read_continuations,
    read_likelihoods,
    read_pairs,
    read_texts,
    require_one_model,
)
from retune.tasks.language_model.score.rouge import distinct_n
from retune.tasks.language_model.score.score import ScoreParams, Share, compared, shares, totals

#: Of the model that speaks.
STATES = ("before", "after")

Rows = Sequence[Mapping[str, Any]]
Place = tuple[str, str]  # state and method
Figures = Sequence[Mapping[str, Share]]  # of each text, by name


def state_folders(likelihoods: Path) -> dict[str, Path]:
    """Return the folder of each state's likelihoods."""
    return {state: likelihoods / state for state in STATES}


def method_folders(generated: Path, methods: Iterable[str]) -> dict[str, Path]:
    """Return the folder of each state's continuations by each method, by both names."""
    methods = list(methods)
    return {f"{s} {method}": generated / s / method for s in STATES for method in methods}


def require_generate_only(variants: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse variants that were scored with other settings than those of the comparison.

    Raises:
        RetuneError: a variant changes more than the decoding.
    """
    for name, changes in variants.items():
        if more := [section for section in changes if section != "generate"]:
            raise RetuneError(
                f"variants.{name}.{more[0]}: variants are compared by the same settings, so that "
                "they may change `generate` alone; change it for all, under `language_model`"
            )


def compare(
    features: Path,
    likelihoods: Path,
    generated: Path,
    table: Path,
    csv: Path,
    *,
    methods: Sequence[str],
    params: ScoreParams,
) -> str:
    """Compare both states and all `methods`; write `table` (JSON) and `csv`, and print them.

    Raises:
        RetuneError: the folders belong to other texts, or a state has several models.
    """
    _require_one_model_a_state(likelihoods, generated, methods)
    pairs = read_pairs(features)
    perplexities = _perplexities(features, likelihoods, pairs, params)
    generations = {
        (state, method): read_continuations(generated / state / method, pairs)
        for state in STATES
        for method in methods
    }
    figures = {
        place: [shares(*each, params) for each in zip(pairs, texts, strict=True)]
        for place, texts in generations.items()
    }
    scores = [_scores(*place, generations[place], figures[place], params) for place in generations]
    written = {
        "perplexity": perplexities,
        "scores": scores,
        "states": _between_states(figures, methods, params),
        "methods": _between_methods(figures, methods, params),
    }
    write_json(table, {"language_model": written})
    names = list(scores[0])
    write_csv(csv, ["name", *names], [[f"{r['state']} {r['method']}", *r.values()] for r in scores])
    _print(scores, written, params)
    first = perplexities[0]
    return (
        f"perplexity of second sentences {first['before']:.3f} before, {first['after']:.3f} after"
    )


def _require_one_model_a_state(likelihoods: Path, generated: Path, methods: Sequence[str]) -> None:
    for state, folder in state_folders(likelihoods).items():
        said = {f"{state} {method}": generated / state / method for method in methods}
        require_one_model({f"{state} likelihoods": folder} | said)


def _perplexities(
    features: Path, likelihoods: Path, pairs: Sequence[ReferencePair], params: ScoreParams
) -> list[dict[str, Any]]:
    """The perplexity of second sentences and whole texts before and after, and its change."""
    ids = {PAIRS: [pair.id for pair in pairs], TEXTS: [id_ for id_, _ in read_texts(features)]}
    rows = []
    for file, name in ((PAIRS, "second sentences"), (TEXTS, "texts")):
        found = {}
        for state in STATES:
            each = read_likelihoods(likelihoods / state / file, ids[file])
            found[state] = perplexity_scores([Share(*one) for one in each])
        both = _compared({name: found}, [("after", "before")], params)[name]
        values = {state: both.means[state].value for state in STATES}
        (change,) = both.differences
        rows.append({"of": name, "texts": len(ids[file]), **values, **_row(change)})
    return rows


def _compared(
    tables: Mapping[str, Mapping[str, Doubles]],
    pairs: Iterable[tuple[str, str]],
    params: ScoreParams,
) -> dict[str, Comparison]:
    """Compare pairs by the scores of texts in each of `tables`."""
    (count,) = {len(scores) for table in tables.values() for scores in table.values()}
    draws = Draws(params.resamples, params.resampling_seed)
    return compare_each(tables, Clusters.named(range(count)), draws, pairs)


def _row(change: Difference) -> dict[str, Any]:
    names = ("low", "high", "p_value", "adjusted", "detectable")
    return {"difference": change.value, **{name: getattr(change, name) for name in names}}


def _scores(
    state: str,
    method: str,
    generations: Sequence[GeneratedText],
    figures: Figures,
    params: ScoreParams,
) -> dict[str, Any]:
    longest = params.longest_ngram
    distinct = {f"distinct_{longest}": distinct_n([each.tokens for each in generations], longest)}
    found = totals(figures)
    values = {name: found[name] for name in compared(params)}
    return {"state": state, "method": method, **values, **distinct}


def _between_states(
    figures: Mapping[Place, Figures], methods: Sequence[str], params: ScoreParams
) -> list[dict[str, Any]]:
    """How much higher each figure of each method is after training."""
    pairs = [("after " + method, "before " + method) for method in methods]
    return _differences(figures, pairs, [{"method": method} for method in methods], params)


def _between_methods(
    figures: Mapping[Place, Figures], methods: Sequence[str], params: ScoreParams
) -> list[dict[str, Any]]:
    """How much higher each figure of one method is than that of another, for the same model."""
    rows = []
    for state in STATES:
        of_state = {place: each for place, each in figures.items() if place[0] == state}
        pairs = [*combinations(methods, 2)]
        places = [{"state": state, "one": one, "other": other} for one, other in pairs]
        named = [(f"{state} {one}", f"{state} {other}") for one, other in pairs]
        rows += _differences(of_state, named, places, params)
    return rows


def _differences(
    figures: Mapping[Place, Figures],
    pairs: Sequence[tuple[str, str]],
    places: Sequence[dict[str, str]],
    params: ScoreParams,
) -> list[dict[str, Any]]:
    """Compare pairs by each figure; return a row for each pair and figure, with its place."""
    tables = {
        name: {
            " ".join(place): text_scores([row[name] for row in rows])
            for place, rows in figures.items()
        }
        for name in compared(params)
    }
    found = _compared(tables, pairs, params)
    return [
        {**place, "figure": name, **_row(found[name].differences[number])}
        for number, place in enumerate(places)
        for name in tables
    ]


def _print(scores: Rows, written: Mapping[str, Rows], params: ScoreParams) -> None:
    """Print the table in 80 columns, and a line for each of the main changes."""
    longest = params.longest_ngram
    columns = {
        **{f"rouge_{n}_f1": f"R-{n}" for n in params.orders},
        "ngram_hits": "hits",
        f"distinct_{longest}": f"dist-{longest}",
        f"repetition_{longest}": f"rep-{longest}",
        "tokens": "tokens",
    }
    cells = [
        [row["state"], row["method"], *(_cell(name, row[name]) for name in columns)]
        for row in scores
    ]
    print_table(["model", "method"], [*columns.values()], cells)
    for row in written["perplexity"]:
        values = f"{row['before']:.2f} before, {row['after']:.2f} after"
        _say(f"perplexity of {row['of']} {values}: {_difference_text(row)}")
    for row in written["states"]:
        if row["figure"] == "rouge_1_f1":
            _say(f"{row['method']} after over before: ROUGE-1 {_difference_text(row)}")
    for row in written["methods"]:
        if row["figure"] == "rouge_1_f1" and row["state"] == "after":
            _say(f"{row['one']} over {row['other']}, after: ROUGE-1 {_difference_text(row)}")


def _cell(name: str, value: float) -> str:
    return f"{value:.1f}" if name == "tokens" else f"{value:.3f}"


def _difference_text(row: Mapping[str, Any]) -> str:
    interval = "" if row["low"] is None else f", {row['low']:+.3f} to {row['high']:+.3f} over texts"
    return f"{row['difference']:+.3f}{interval} (p = {row['adjusted']:.3g})"


def _say(sentence: str) -> None:
    print(textwrap.fill(sentence, 80, subsequent_indent="  "))
