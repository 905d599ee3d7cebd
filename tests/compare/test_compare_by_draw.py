"""Systems that were trained on the same draws are compared in pairs, by draw and question."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare.scored_runs import Runs, rows

from retune.stats.clusters import Clusters
from retune.stats.noise_floor import crossed_mean
from retune.tools.cli.main import main
from retune.tools.compare.by_draw import compare_by_draw, crossed_interval
from retune.tools.compare.systems import System, compared
from retune.tools.compare.verdicts import sentences
from retune.tools.experiments.experiments import runs_of
from retune.tools.experiments.seed_groups import fold

Capture = pytest.CaptureFixture[str]
CLUSTERS = Clusters(np.repeat(np.arange(10), 4))


def test_a_name_stands_for_all_draws_of_a_protocol() -> None:
    name = "few-shot-0123abcd"
    assert runs_of(name).fullmatch(f"{name}-draw=10")
    assert not runs_of(name).fullmatch(f"{name}-draw=1-seed=1")
    assert not runs_of(name).fullmatch("few-shot-0123abce-draw=1")


def test_draws_are_paired_whatever_their_order() -> None:
    one = System("one", [rows(1), rows(2), rows(4)], (1, 2, 3), draws=(1, 2, 3))
    same = System("same", [rows(4), rows(1), rows(2)], (3, 1, 2), draws=(3, 1, 2))
    result = compared([one, same])
    assert result.draws == 3
    (pair,) = result.scores["f1"].differences
    assert (pair.value, pair.low, pair.high, pair.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert pair.verdict == "not separable"


def test_draws_that_disagree_show_no_difference_that_passages_alone_would() -> None:
    right = {"one": (4, 1, 4), "two": (2, 2, 2)}
    runs = {name: [rows(count) for count in counts] for name, counts in right.items()}
    drawn = compared([System(n, r, (1, 2, 3), draws=(1, 2, 3)) for n, r in runs.items()])
    alone = compared([System(n, r, (1, 2, 3)) for n, r in runs.items()])
    (by_draw,), (by_passage,) = (r.scores["f1"].differences for r in (drawn, alone))
    assert by_draw.value == pytest.approx(25) == by_passage.value
    assert (by_passage.verdict, by_draw.verdict) == ("better", "not separable")
    assert (drawn.draws, alone.draws) == (3, 0)
    words = " ".join(sentences(drawn))
    assert "Drawn: 3 sets of training questions, each with its seed, and 32 test questions" in words
    assert "Systems are paired by draw and by question." in words


def test_a_clear_difference_is_shown_and_ranked() -> None:
    generator = np.random.default_rng(1)
    draws = generator.normal(0, 5, (6, 1)) + generator.normal(0, 2, (6, 40))  # common to both
    scores = {"low": 40 + draws, "high": 50 + draws + generator.normal(0, 1, (6, 40))}
    found = compare_by_draw(scores, CLUSTERS)
    assert [*found.means] == ["high", "low"]
    (pair,) = found.differences
    assert (pair.one, pair.verdict) == ("high", "better")
    assert pair.low is not None
    assert pair.low < 10 < pair.high
    assert pair.detectable is not None
    assert pair.detectable < 3
    # Pairing takes the draws' common part out of the difference.
    assert pair.high - pair.low < found.means["low"].high - found.means["low"].low
    assert found.ranks == {"high": (1, 1), "low": (2, 2)}


def test_an_interval_stays_within_percent_and_needs_two_passages() -> None:
    runs = np.tile([0.0, 100.0], (3, 20))
    found = crossed_interval(runs, Clusters(np.repeat([0, 1], 20)))
    assert (found.low, found.high) == (0.0, 100.0) or found.low == found.high == 50.0
    one = crossed_interval(runs, Clusters(np.zeros(40, np.int64)))
    assert (one.value, one.low, one.high) == (50.0, None, None)
    wide = crossed_interval(np.array([[0.0, 100.0], [100.0, 100.0]]), Clusters(np.arange(2)))
    assert (wide.low, wide.high) == (0.0, 100.0)


def test_the_interval_of_a_mean_agrees_with_its_noise() -> None:
    runs = np.random.default_rng(2).normal(50, 5, (5, 40))
    found, gain = crossed_interval(runs, CLUSTERS), crossed_mean(runs, CLUSTERS)
    assert (found.value, found.low, found.high) == (gain.value, *gain.interval)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two protocols of three draws, the second better in each, and an experiment without draws."""
    runs = Runs(tmp_path_factory.mktemp("draws"))
    runs.run(1)
    for key, right in {"aaaaaaaa": (1, 2, 1), "bbbbbbbb": (3, 4, 3)}.items():
        for draw, count in enumerate(right, 1):
            download = {"train_draw": draw, "fold": "1/5"}
            name = f"few-shot-{key}-draw={draw}"
            runs.experiment(name, count, seed=draw, download=download)
    runs.experiment("plain", 4, download={"train_draw": 1})
    return runs.folder


def compare(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert main(["compare", *arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_two_protocols_are_compared_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(folder)
    value = compare(capsys, "few-shot-aaaaaaaa", "new=few-shot-bbbbbbbb")
    assert value["draws"] == 3
    assert [run["f1"] for run in value["systems"][0]["runs"]] == [75.0, 100.0, 75.0]
    pair = value["pairs"][1]
    assert (pair["one"], pair["other"]) == ("new", "few-shot-aaaaaaaa")
    assert (pair["value"], pair["verdict"]) == (50.0, "better")
    assert pair["clusters_needed"] is None
    # Beside another system, the draws are runs like those of other seeds.
    assert "draws" not in compare(capsys, "few-shot-aaaaaaaa", "plain")


def test_the_draws_of_a_protocol_are_one_variant_with_a_spread_over_them() -> None:
    params = ["qa.seed", "qa.download.train_draw", "qa.model"]
    shown = [
        {"name": f"few-shot-{key}-draw={n}", "data": "d", "qa.model": "bert", "qa.seed": n,
         "qa.download.train_draw": n, "qa.f1": float(n)}
        for key in ("aaaaaaaa", "bbbbbbbb") for n in (1, 2)
    ]  # fmt: skip
    variants = fold(shown, params, seed_param="qa.seed")
    assert [v.name for v in variants] == ["few-shot-aaaaaaaa", "few-shot-bbbbbbbb"]
    assert [v.seeds for v in variants] == [[1, 2], [1, 2]]
