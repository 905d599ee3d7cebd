"""Stage `probe`: test the models of all seeds of a variant with probe sets."""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.files import write_json
from retune.models.outputs import on_best_device
from retune.models.pretrained_files import load_tokenizer
from retune.processes.share import ALONE, Share
from retune.stats.seed_spread import interval_half_width, spread
from retune.tasks.sentiment.models import load
from retune.tasks.sentiment.predict.batches import Collator
from retune.tasks.sentiment.predict.predict import PredictParams, probabilities_of_ids
from retune.tasks.sentiment.probe.probes import Probe, ProbeParams, constant_baseline, pass_rates
from retune.tasks.sentiment.score.score import interval_text
from retune.tasks.sentiment.tokenize.tokenize import Reader, TokenizeParams, reader

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
    share: Share = ALONE,
) -> str:
    """Probe the models in `folders`, by seed; write pass rates with their spread to `metrics`.

    Each rate is shown next to a constant-prediction baseline. The rate of the minimum functionality
    tests comes first: the baseline passes half of them, but every invariance test and every `up`
    and `down`. Several processes share out the batches, and the first one writes.
    """
    runs = {}
    for seed, folder in folders.items():
        network, tokenizer = on_best_device(load(model, folder)), load_tokenizer(folder)
        collate = Collator.for_model(network, tokenizer)
        read = reader(tokenizer, lengths)
        ask = partial(probabilities, network, read, collate, prediction, share)
        runs[seed] = pass_rates(probes, ask, params.tolerance)
    if not share.is_first:
        return ""
    rates = {seed: run["rate"] for seed, run in runs.items()}
    floor = constant_baseline(probes, params.tolerance)
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
    overall = {
        **_of_mft(groups["kinds"]),
        "probe_pass_rate": mean,
        "probe_pass_rate_of_one_answer": floor["rate"],
    }
    write_json(metrics, {"sentiment": {**overall, **groups, "runs": failures}})
    half_width = interval_half_width(list(rates.values()))
    kinds = ", ".join(f"{row['kind']} {row['mean']:.1f}" for row in groups["kinds"])
    return (
        f"{interval_text(mean, half_width)} % of {len(probes)} probes pass ({kinds}); the "
        f"constant-prediction baseline passes {floor['rate']:.2f} %"
    )


def probabilities(
    model: "PreTrainedModel",
    read: Reader,
    collate: Collator,
    params: PredictParams,
    share: Share,
    texts: Sequence[str],
) -> list[float]:
    """P(positive) of each text, in every process."""
    input_ids = [ids for ids, _ in read(list(texts))]
    return probabilities_of_ids(model, collate, params, input_ids, share)


def _of_mft(kinds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the figures of the minimum functionality tests; own probes may have none."""
    return {
        name: row[key]
        for row in kinds
        if row["kind"] == "MFT"
        for name, key in (("mft_pass_rate", "mean"), ("mft_pass_rate_of_one_answer", "one_answer"))
    }


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
