import json
import math
from pathlib import Path
from typing import Any

import pytest
from planted_experiments import plant

from retune.core.errors import RetuneError
from retune.stats import seed_spread
from retune.tools.cli.main import main
from retune.tools.experiments import seed_groups
from retune.tools.experiments.experiments import SEED

PARAMS = ["qa.model", "qa.seed", "qa.train.lr"]
# Differences seed by seed: 1, 2, 0; their mean is 1, their deviation 1.
UP, DOWN = (10.0, 12.0, 14.0), (9.0, 10.0, 14.0)
SCORES = seed_groups.scores(seed_groups.spread_figures())


def shown(name: str, f1: float | None, **values: Any) -> dict[str, Any]:
    return {
        "name": name, "qa.model": "bert", "qa.seed": 1.0, "qa.train.lr": 0.1, "qa.f1": f1,
        "qa.exact_match": None, "qa.train_windows_per_second": None,
    } | {f"qa.{key}": value for key, value in values.items()}  # fmt: skip


def runs(name: str, scores: tuple[float, ...], **values: Any) -> list[dict[str, Any]]:
    return [
        shown(f"{name}-seed={seed}", f1, seed=float(seed), **values)
        for seed, f1 in enumerate(scores, 1)
    ]


def variants(*rows: list[dict[str, Any]]) -> list[seed_spread.Variant]:
    return seed_groups.fold([row for part in rows for row in part], PARAMS, seed_param=SEED)


def test_folds_have_a_spread_and_no_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        shown(f"{model}-fold={fold}of2-seed={seed}", 10.0 * fold + seed, model=model,
              seed=float(seed)) | {"qa.download.fold": f"{fold}/2"}
        for model in ("bert", "lstm") for seed in (1, 2) for fold in (1, 2)
    ]  # fmt: skip
    alone = shown("bert-seed=1", 50.0)
    folded = seed_groups.fold([*rows, alone], [*PARAMS, "qa.download.fold"], seed_param=SEED)
    assert [variant.name for variant in folded] == ["bert", "bert", "lstm"]
    assert [*map(str, folded[1].seeds)] == [f"{s}, fold {f} of 2" for s in (1, 2) for f in (1, 2)]
    assert [*folded[1].values["qa.f1"].values()] == [11.0, 21.0, 12.0, 22.0]
    assert seed_groups.as_json(folded[1:])["gaps"] == []
    seed_groups.report(folded[1:], asked=4)
    printed = capsys.readouterr().out
    assert "runs" in printed.splitlines()[0]
    assert "4 of 4" in printed
    assert "`retune compare` does." in printed


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (9, 2.2622), (30, 2.0423), (1000, 1.9623)],
)
def test_the_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert seed_spread.t_quantile(degrees) == pytest.approx(quantile, abs=5e-5)


def test_runs_that_differ_by_seed_alone_are_one_variant_best_first() -> None:
    low = runs("low", DOWN, model="lstm")
    high = runs("high", UP, train_windows_per_second=9.0)
    fast = [shown("fast", 1.0) | {"qa.train.lr": 0.2}]
    failed = [shown("none", None, model="gru")]
    folded = variants(failed, low, fast, high)
    assert [variant.name for variant in folded] == ["high", "low", "fast", "none"]
    assert folded[0].seeds == [1, 2, 3]
    assert folded[0].values["qa.f1"] == {1: 10.0, 2: 12.0, 3: 14.0}
    assert "qa.exact_match" not in folded[0].values
    spread = seed_groups.as_json(folded)["variants"][0]["metrics"]["qa.f1"]
    assert spread == {
        "mean": 12.0, "std": 2.0, "min": 10.0, "max": 14.0,
        "by_seed": {1: 10.0, 2: 12.0, 3: 14.0},
    }  # fmt: skip
    assert seed_groups.as_json(folded)["variants"][2]["metrics"]["qa.f1"]["std"] is None


def test_a_seed_in_mid_name_is_left_out_of_the_name() -> None:
    rows = [shown(f"bert-seed={s}-lr=1e-4", 1.0, seed=float(s)) for s in (1, 2)]
    assert [variant.name for variant in variants(rows)] == ["bert-lr=1e-4"]
    assert [variant.name for variant in variants([shown("seed=1", 1.0)])] == ["seeds"]


def test_one_run_under_two_names_does_not_count_twice() -> None:
    with pytest.raises(RetuneError, match="bert and bert-seed=1 are the same, with seed 1"):
        variants([shown("bert", 1.0), shown("bert-seed=1", 1.0)])


def test_a_gap_within_the_paired_interval_is_below_seed_noise() -> None:
    (gap,) = seed_spread.gaps(variants(runs("b", DOWN, model="lstm"), runs("a", UP)), SCORES)
    assert (gap.better, gap.worse, gap.seeds, gap.mean) == ("a", "b", 3, 1.0)
    assert gap.half_width == pytest.approx(4.30265 / math.sqrt(3), abs=1e-4)
    assert gap.verdict == "below"


def test_pairing_by_seed_sees_a_small_gap_that_is_there_with_every_seed() -> None:
    other = tuple(score - 1 - tiny for score, tiny in zip(UP, (0.0, 0.1, -0.1), strict=True))
    (gap,) = seed_spread.gaps(variants(runs("a", UP), runs("b", other, model="lstm")), SCORES)
    assert gap.mean == pytest.approx(1.0)
    assert gap.verdict == "above"
    assert (
        seed_spread.warnings(variants(runs("a", UP), runs("b", other, model="lstm")), SCORES) == []
    )


def test_equal_scores_are_no_gap() -> None:
    (gap,) = seed_spread.gaps(variants(runs("a", UP), runs("b", UP, model="lstm")), SCORES)
    assert (gap.mean, gap.half_width, gap.verdict) == (0.0, 0.0, "below")


def test_with_fewer_than_three_seeds_in_common_the_noise_is_unknown() -> None:
    one, other = runs("a", UP), runs("b", DOWN, model="lstm")[:2]
    (gap,) = seed_spread.gaps(variants(one, other), SCORES)
    assert (gap.seeds, gap.mean, gap.half_width, gap.verdict) == (2, 1.5, None, "unknown")
    assert seed_spread.warnings(variants(one, other), SCORES) == [
        "seed noise is unknown with fewer than 3 seeds in common: a over b"
    ]
    apart = [row | {"qa.seed": 9.0} for row in other[:1]]
    (gap,) = seed_spread.gaps(variants(one, apart), SCORES)
    assert (gap.seeds, gap.mean, gap.verdict) == (0, 3.0, "unknown")


def test_the_better_of_two_is_the_better_on_the_seeds_in_common() -> None:
    one, other = runs("a", (5.0, 5.0, 5.0, 90.0)), runs("b", (6.0, 6.0, 6.0), model="lstm")
    (gap,) = seed_spread.gaps(variants(one, other), SCORES)
    assert (gap.better, gap.mean, gap.verdict) == ("b", 1.0, "above")


def test_the_report_fits_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    name = "transformer_encoder-lr=1e-4-epochs=12-warmup_ratio=0.25"
    seed_groups.report(variants(runs(name, UP), runs(f"{name}-2", DOWN, model="x")), asked=4)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "3 of 4  12.00  2.00  10.00  14.00" in printed
    assert "below seed noise: +1.00 ± 2.48" in " ".join(printed.split())


@pytest.fixture
def experiments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    rows = [*runs("a", UP), *runs("b", DOWN, model="lstm")]
    plant(monkeypatch, rows)
    monkeypatch.chdir(tmp_path)
    params = "qa: {model: bert, seed: 1, train: {lr: 0.1}}\n"
    (tmp_path / "params.yaml").write_text(params, encoding="utf-8")
    return rows


@pytest.mark.usefixtures("experiments")
def test_the_table_folds_the_experiments_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "--seeds", "--json", "a-seed=1", "a-seed=3"]) == 0
    (variant,) = json.loads(capsys.readouterr().out)["variants"]
    assert (variant["name"], variant["seeds"]) == ("a", [1, 3])
    assert main(["table", "--seeds"]) == 0
    assert "warning: F1 of a over b is below seed noise" in capsys.readouterr().out
    assert main(["table", "--seeds", "c"]) == 1
    assert "no experiment c on this commit; there are: a-seed=1" in capsys.readouterr().err
