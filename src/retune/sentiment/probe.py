"""Stage `probe`: what the models of all seeds of a variant understand of the probe sets."""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retune.checkpoints import load_tokenizer
from retune.folding import interval_half_width, spread
from retune.sentiment.batches import Collator
from retune.sentiment.features import Rows
from retune.sentiment.models import load
from retune.sentiment.predict import PredictParams, logits_of, on_best_device
from retune.sentiment.probes import Probe, ProbeParams, pass_rates, rates_of_one_answer
from retune.sentiment.reading import positive_probabilities
from retune.sentiment.score import told
from retune.sentiment.tokenize import Reader, TokenizeParams, reader
from retune.storage import write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def probe(
    folders: Mapping[int, Path],
    metrics: Path,
    *,
    model: str,
    probes: Sequence[Probe],
    params: ProbeParams,
    lengths: TokenizeParams,
    prediction: PredictParams,
) -> str:
    """Ask the models in `folders`, by seed; write pass rates with their spread to `metrics`.

    Beside each rate stands that of a model that gives one answer to all.
    """
    runs = {}
    for seed, folder in folders.items():
        network, tokenizer = on_best_device(load(model, folder)), load_tokenizer(folder)
        collate = Collator.for_model(network, tokenizer)
        read = reader(tokenizer, lengths)
        ask = partial(probabilities, network, read, collate, prediction)
        runs[seed] = pass_rates(probes, ask, params.tolerance)
    rates = {seed: run["rate"] for seed, run in runs.items()}
    floor = rates_of_one_answer(probes, params.tolerance)
    groups = {
        kinds: [
            _group(place, name, {seed: run[kinds] for seed, run in runs.items()})
            | {"one_answer": least["rate"]}
            for place, least in enumerate(floor[kinds])
        ]
        for kinds, name in (("kinds", "kind"), ("capabilities", "capability"))
    }
    failures = [{"seed": seed, "failures": run["failures"]} for seed, run in runs.items()]
    mean = statistics.fmean(rates.values())
    overall = {"probe_pass_rate": mean, "probe_pass_rate_of_one_answer": floor["rate"]}
    write_json(metrics, {"sentiment": {**overall, **groups, "runs": failures}})
    half_width = interval_half_width(list(rates.values()))
    kinds = ", ".join(f"{row['kind']} {row['mean']:.1f}" for row in groups["kinds"])
    return (
        f"{told(mean, half_width)} % of {len(probes)} probes pass ({kinds}); one answer to all "
        f"passes {floor['rate']:.2f} %"
    )


def probabilities(
    model: "PreTrainedModel",
    read: Reader,
    collate: Collator,
    params: PredictParams,
    texts: Sequence[str],
) -> list[float]:
    """P(positive) of each text."""
    input_ids = [ids for ids, _ in read(list(texts))]
    return probabilities_of_ids(model, collate, params, input_ids)


def probabilities_of_ids(
    model: "PreTrainedModel",
    collate: Collator,
    params: PredictParams,
    input_ids: Sequence[Sequence[int]],
) -> list[float]:
    """P(positive) of each text, of which the token ids are given."""
    logits = logits_of(model, rows_of(input_ids), collate, params, quiet=True)
    return positive_probabilities(logits).tolist()  # type: ignore[no-any-return]


def rows_of(input_ids: Sequence[Sequence[int]]) -> Rows:
    """Texts that have no label, which get 0."""
    bounds = np.cumsum([0, *map(len, input_ids)])
    flat = np.array([token for ids in input_ids for token in ids], np.int32)
    return Rows(flat, bounds, np.zeros(len(input_ids), np.int8))


def _group(place: int, name: str, runs: Mapping[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """The spread over the seeds of the pass rate of one group of probes."""
    rates = {seed: rows[place]["rate"] for seed, rows in runs.items()}
    first = next(iter(runs.values()))[place]
    return {
        name: first[name],
        "total": first["total"],
        **spread(rates),
        "half_width": interval_half_width(list(rates.values())),
        "by_seed": [{"seed": seed, "rate": rate} for seed, rate in rates.items()],
    }
