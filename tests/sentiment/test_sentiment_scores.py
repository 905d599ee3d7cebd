"""Scores, their spread, the plots, and the comparison of variants."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentiment_runs import examples

from retune.core.errors import RetuneError
from retune.core.files import write_json, write_json_lines
from retune.core.manifests import seal
from retune.tasks.sentiment.compare.compare import compare, over_sentences
from retune.tasks.sentiment.score.score import (
    Confusion,
    ScoreParams,
    run_figures,
    score,
)
from retune.tasks.sentiment.texts.examples import write_examples
from retune.tasks.sentiment.texts.predictions import (
    Gold,
    positive_probabilities,
    read_gold,
    seed_folders,
)

PARAMS = ScoreParams(bins=4, resamples=2000, resampling_seed=1)
LABELS = [1, 1, 1, 0, 0, 0, 1, 0]
# By seed: 6, 7 and 8 of 8 right.
RUNS = {
    1: [0.9, 0.8, 0.4, 0.1, 0.2, 0.6, 0.7, 0.3],
    2: [0.9, 0.8, 0.6, 0.1, 0.2, 0.6, 0.7, 0.3],
    3: [0.9, 0.8, 0.6, 0.1, 0.2, 0.4, 0.7, 0.3],
}


def write_raw(folder: Path) -> Path:
    rows = examples("validation", [(f"text {n}", label) for n, label in enumerate(LABELS)])
    write_examples(folder / "validation.jsonl", rows)
    return folder


def write_predictions(folder: Path, runs: dict[int, list[float]], *, model: str = "m") -> Path:
    for seed, positive in runs.items():
        rows = (
            {"id": f"validation-{n}", "logits": [0.0, 0.0], "positive": p}
            for n, p in enumerate(positive)
        )
        write_json_lines(folder / str(seed) / "predictions.jsonl", rows)
        seal(folder / str(seed), {"inputs": {"model": f"{model}{seed}"}, "params": {}})
    return folder


def scored(folder: Path, runs: dict[int, list[float]]) -> str:
    return score(
        write_raw(folder / "raw"), write_predictions(folder / "predictions", runs),
        folder / "scores.json", folder / "confusion.csv", folder / "reliability.csv",
        seeds=list(runs), params=PARAMS,
    )  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["sentiment"]
    return values


def test_scores_have_their_spread_over_the_seeds(tmp_path: Path) -> None:
    said = scored(tmp_path, RUNS)
    told = read(tmp_path / "scores.json")
    assert told["accuracy"] == 87.5
    spread = {row["score"]: row for row in told["spread"]}
    assert list(spread) == ["accuracy", "f1", "macro_f1", "expected_calibration_error"]
    row = spread["accuracy"]
    assert row["by_seed"] == [
        {"seed": 1, "value": 75.0}, {"seed": 2, "value": 87.5}, {"seed": 3, "value": 100.0}
    ]  # fmt: skip
    assert (row["mean"], row["std"]) == (87.5, 12.5)
    # Student's t with two degrees of freedom: 4.3027.
    assert row["half_width"] == pytest.approx(4.302653 * 12.5 / math.sqrt(3), rel=1e-6)
    assert told["confusion"][0] == {
        "seed": 1, "true_negatives": 3, "false_positives": 1, "false_negatives": 1,
        "true_positives": 3,
    }  # fmt: skip
    assert said.startswith("accuracy 87.50 ± 31.05, F1 ")
    assert said.endswith(" over 8 texts and 3 seeds; accuracy 87.50 as an ensemble")


def test_an_ensemble_goes_by_the_mean_probability(tmp_path: Path) -> None:
    """Two models are wrong about one text each, and unsure of that."""
    one, other = (list(RUNS[3]) for _ in range(2))
    one[0], other[3] = 0.45, 0.55
    said = scored(tmp_path, {1: one, 2: other})
    assert said.endswith("; accuracy 100.00 as an ensemble")
    told = read(tmp_path / "scores.json")
    assert (told["accuracy"], told["ensemble"][0]["accuracy"]) == (87.5, 100.0)
    assert told["ensemble"][0].keys() == {row["score"] for row in told["spread"]}


def test_the_ensemble_of_one_seed_is_its_run(tmp_path: Path) -> None:
    scored(tmp_path, {1: RUNS[1]})
    told = read(tmp_path / "scores.json")
    (ensemble,) = told["ensemble"]
    assert ensemble == {score: told[score] for score in ensemble}


def test_two_seeds_have_no_interval_and_one_no_deviation(tmp_path: Path) -> None:
    scored(tmp_path, {seed: RUNS[seed] for seed in (1, 2)})
    row = read(tmp_path / "scores.json")["spread"][0]
    assert row["std"] == pytest.approx(8.8388, abs=1e-4)
    assert row["half_width"] is None
    assert scored(tmp_path, {1: RUNS[1]}).startswith("accuracy 75.00, F1 ")
    assert read(tmp_path / "scores.json")["spread"][0]["std"] is None


def test_the_plots_pool_the_seeds(tmp_path: Path) -> None:
    scored(tmp_path, RUNS)
    text = (tmp_path / "confusion.csv").read_bytes()
    assert b"\r" not in text
    rows = text.decode().splitlines()
    assert rows[0] == "actual,predicted"
    assert len(rows) == 1 + 3 * 8
    assert rows.count("negative,positive") == 2
    with (tmp_path / "reliability.csv").open(encoding="utf-8") as file:
        bins = list(csv.DictReader(file))
    assert sum(int(row["texts"]) for row in bins) == 3 * 8
    first = bins[0]
    assert (first["low"], first["high"], first["positive"], first["texts"]) == (
        "0.0", "0.25", "0.0", "6"
    )  # fmt: skip
    assert float(first["probability"]) == pytest.approx(0.15)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_figures_are_what_counting_gives(pairs: list[tuple[int, int]]) -> None:
    labels, answered = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    found = Confusion.of(labels, answered).figures()
    assert found["accuracy"] == pytest.approx(100 * np.mean(labels == answered))
    f1s = []
    for label in (0, 1):
        both = int(((labels == label) & (answered == label)).sum())
        precision = both / max(1, int((answered == label).sum()))
        recall = both / max(1, int((labels == label).sum()))
        f1s.append(200 * precision * recall / (precision + recall) if both else 0.0)
    assert found["f1"] == pytest.approx(f1s[1])
    assert found["macro_f1"] == pytest.approx(sum(f1s) / 2)


def test_calibration_is_the_distance_of_probability_and_share() -> None:
    gold = Gold(("a", "b", "c", "d"), np.array([1, 1, 0, 1]))
    error = run_figures(gold, np.array([0.8, 0.9, 0.9, 1.0]), 2)["expected_calibration_error"]
    assert error == pytest.approx(15.0)


def test_extreme_logits_give_probabilities_and_a_tie_is_negative() -> None:
    found = positive_probabilities(np.array([[0.0, 5000.0], [5000.0, 0.0], [1.0, 1.0]]))
    assert found.tolist() == [1.0, 0.0, 0.5]


def test_predictions_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"sentiment\.seeds: \[1, 1\] must name .* each of them"):
        seed_folders(tmp_path, [1, 1])
    with pytest.raises(RetuneError, match=r"sentiment\.seeds: \[\] must name one seed or more"):
        seed_folders(tmp_path, [])
    with pytest.raises(RetuneError, match="its texts are not those of the raw data"):
        scored(tmp_path / "short", {1: RUNS[1][:-1]})
    same = tmp_path / "same"
    scored(same, RUNS)
    seal(same / "predictions" / "2", {"inputs": {"model": "m1"}, "params": {}})
    with pytest.raises(RetuneError, match="the seeds 1, 2 have predictions of the same model"):
        score(
            same / "raw", same / "predictions", *(same / n for n in "abc"),
            seeds=[1, 2, 3], params=PARAMS,
        )  # fmt: skip
    write_examples(same / "raw" / "validation.jsonl", [])
    with pytest.raises(RetuneError, match=r"no validation text; check sentiment\.download"):
        read_gold(same / "raw")


def gold_of(count: int) -> Gold:
    return Gold(tuple(map(str, range(count))), np.arange(count) % 2)


def test_the_interval_over_sentences_is_near_the_normal_one() -> None:
    gold = gold_of(400)
    right = np.where(gold.labels == 1, 0.9, 0.1)
    wrong = np.where(np.arange(400) < 40, 1 - right, right)
    more = np.where(np.arange(400) >= 390, 1 - right, right)
    _, (row,) = over_sentences({"one": {1: wrong}, "other": {1: more}}, gold, PARAMS)
    assert (row["better"], row["worse"], row["verdict"]) == ("other", "one", "better")
    assert row["mean"] == pytest.approx(7.5)
    # Of 400 differences, 40 are 1 and 10 are -1.
    error = 100 * math.sqrt((50 / 400 - 0.075**2) / 400)
    assert row["low"] == pytest.approx(7.5 - 1.96 * error, abs=0.5)
    assert row["high"] == pytest.approx(7.5 + 1.96 * error, abs=0.5)
    # Of 50 coins, 10 or fewer are heads, or 40 or more.
    sides = sum(math.comb(50, heads) for heads in range(11)) / 2**49
    assert sides < row["p_value"] < 0.002
    assert row["detectable"] == pytest.approx((1.966 + 0.842) * error, abs=0.01)


def test_variants_that_say_the_same_are_not_told_apart() -> None:
    gold = gold_of(10)
    positive = np.linspace(0, 1, 10)
    found, (row,) = over_sentences({"one": {1: positive}, "other": {1: positive}}, gold, PARAMS)
    kept = ("mean", "low", "high", "p_value", "adjusted", "verdict")
    assert [row[name] for name in kept] == [0, 0, 0, 1, 1, "not separable"]
    assert found.ranks == {"one": (1, 2), "other": (1, 2)}


def test_copies_of_a_seed_narrow_no_interval_over_sentences() -> None:
    gold = gold_of(60)
    one, other = np.random.default_rng(3).random((2, 60))
    single = over_sentences({"one": {1: one}, "other": {1: other}}, gold, PARAMS)
    copied = over_sentences({"one": {1: one, 2: one}, "other": {1: other}}, gold, PARAMS)
    assert copied == single


@pytest.mark.parametrize("best", ["near", f"near_{'x' * 40}"])
def test_a_comparison_tells_scores_costs_and_what_is_noise(
    best: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = write_raw(tmp_path / "raw")
    wrong = {seed: [1 - p for p in positive] for seed, positive in RUNS.items()}
    near = {1: RUNS[2], 2: RUNS[1], 3: RUNS[3]}
    for name, runs in (("good", RUNS), (best, near), ("bad", wrong)):
        write_predictions(tmp_path / "predictions" / name, runs, model=name)
        for seed in runs:
            folder = tmp_path / "runs" / name / str(seed)
            sizes = {"parameters": 10**6, "trained_parameters": 10**6, "model_bytes": 4_000_000}
            for kind, row in (("costs", sizes), ("times", {"train_seconds": 1.0 * seed})):
                write_json(folder / f"{kind}.json", {"sentiment": {"details": [row]}})
    table, flat = tmp_path / "compare.json", tmp_path / "compare.csv"
    said = compare(
        raw, tmp_path / "predictions", tmp_path / "runs", table, flat,
        names=["bad", best, "good"], seeds=[1, 2, 3], params=PARAMS,
    )  # fmt: skip
    assert said == f"{best} is first, with accuracy 87.50 ± 31.05"
    told = read(table)
    assert [row["name"] for row in told["variants"]] == [best, "good", "bad"]
    assert told["variants"][0]["train_seconds"] == 2.0
    assert set(told["accuracy"]) == {best, "bad", "good"}
    assert told["accuracy"][best] == 87.5
    gaps = [gap for gap in told["seed_noise"] if gap["key"] == "accuracy"]
    assert [(gap["better"], gap["worse"], gap["verdict"]) for gap in gaps] == [
        (best, "good", "below"), (best, "bad", "above"), ("good", "bad", "above"),
    ]  # fmt: skip
    assert len(told["sentence_noise"]) == 3
    near = told["variants"][0]
    assert (near["over_sentences"]["value"], near["rank"]) == (87.5, [1, 3])
    assert near["over_sentences"]["low"] < 87.5 < near["over_sentences"]["high"]
    with flat.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == [best, "good", "bad"]
    assert rows[2]["accuracy_mean"] == "12.5"
    assert rows[2]["model_bytes"] == "4000000"
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    printed = " ".join(" ".join(lines).split())
    assert f"warning: accuracy of {best} over good is below seed noise: +0.00 ±" in printed
    assert f"{best} over good: accuracy +0.00 ± 31.05 over seeds, +0.00 to +0.00 over " in printed
    assert "sentences (p = 1): not separable" in printed
