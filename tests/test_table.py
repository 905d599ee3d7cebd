import json
from pathlib import Path
from typing import Any

import pytest
from planted_experiments import plant

from retune.core.errors import RetuneError
from retune.tables.terminal_tables import print_table
from retune.tools.cli.main import main
from retune.tools.experiments.listing import experiment_rows
from retune.tools.experiments.table import keys, render, workspace_row
from retune.tools.project.locks import outdated_stages

METRICS = {
    "qa.json": {"exact_match": 40.0, "f1": 51.25, "details": []},
    "qa_costs.json": {"details": [{"parameters": 1234567, "trained_parameters": 1234567}]},
    "qa_times.json": {"details": [{"train_seconds": 60.0, "train_windows_per_second": 9.5}]},
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "metrics").mkdir()
    for name, values in METRICS.items():
        (tmp_path / "metrics" / name).write_text(json.dumps({"qa": values}))
    params = {"params.yaml": {"qa.model": "lstm"}}
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {"train": {"params": params}}}))
    return tmp_path


def test_the_workspace_is_a_row_of_its_metrics(workspace: Path) -> None:
    assert workspace_row(workspace) == dict.fromkeys(keys()) | {
        "name": "workspace",
        "qa.model": "lstm",
        "qa.exact_match": 40.0,
        "qa.f1": 51.25,
        "qa.parameters": 1234567,
        "qa.trained_parameters": 1234567,
        "qa.train_seconds": 60.0,
        "qa.train_windows_per_second": 9.5,
    }


def test_before_the_first_run_the_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"qa.json: no such file; run the stage that writes it"):
        workspace_row(tmp_path)


def test_without_a_lock_the_command_that_writes_it_is_named(workspace: Path) -> None:
    (workspace / "dvc.lock").unlink()
    with pytest.raises(RetuneError, match=r"dvc\.lock: no such file; `dvc repro` writes it"):
        workspace_row(workspace)


def test_the_table_fits_in_80_columns(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"name": "transformer_encoder", "qa.model": "transformer_encoder"}
    row = workspace_row(workspace) | names | {"qa.train_seconds": None}
    render([row], as_json=False)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "51.25" in printed
    assert "1.2M" in printed
    assert "transformer_encoder  transformer_encoder" in printed
    assert " - " in printed


def test_trained_weights_are_shown_where_they_are_not_all(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    render([workspace_row(workspace)], as_json=False)
    assert "trained" not in capsys.readouterr().out
    render([workspace_row(workspace) | {"qa.trained_parameters": 300000}], as_json=False)
    printed = capsys.readouterr().out
    assert "weights  trained" in printed
    assert "1.2M     0.3M" in printed


@pytest.mark.parametrize("names", [1, 2])
def test_beside_long_names_figures_stay_whole(
    names: int, capsys: pytest.CaptureFixture[str]
) -> None:
    long, figure = "a_name_that_is_much_longer_than_those_of_all_other_variants", "91.25 ± 10.50"
    texts, figures = ["variant", "model"][:names], ["accuracy", "F1", "macro F1", "M weights"]
    print_table(texts, figures, [[long] * names + [figure] * 4, ["lstm"] * names + [figure] * 4])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.count(figure) for line in lines if figure in line] == [4, 4]
    columns = [line.split(figure)[0].split() for line in lines[1:-1]]
    assert ["".join(parts) for parts in zip(*columns, strict=True)] == [long] * names


def test_json_is_read_back_as_it_was(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [workspace_row(workspace)]
    render(rows, as_json=True)
    assert json.loads(capsys.readouterr().out) == rows


def shown(name: str, f1: float | None) -> dict[str, Any]:
    return {"name": name, "qa.f1": f1, "qa.model": "bert", "qa.other": 1}


def test_experiments_are_sorted_by_f1_and_may_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, [shown("a", 1.0), shown("failed", None), shown("b", 2.0)])
    assert [row["name"] for row in experiment_rows()] == ["b", "a", "failed"]
    assert [row["name"] for row in experiment_rows(["a"])] == ["a"]
    with pytest.raises(RetuneError, match="no experiment c on this commit; there are: a, b, f"):
        experiment_rows(["c"])


def stage(*deps: str, out: str, **params: Any) -> dict[str, Any]:
    """A stage of dvc.lock; files are written `path:MD5`."""
    return {
        "deps": [dict(zip(("path", "md5"), dep.split(":"), strict=True)) for dep in deps],
        "params": {"params.yaml": params},
        "outs": [dict(zip(("path", "md5"), out.split(":"), strict=True))],
    }


#: A run of `train` alone: the model is new, and what was made of the old one stays.
TRAINED = {
    "score": stage("logits:1", out="metrics/qa.json:1"),
    "predict": stage("model:old", out="logits:1"),
    "train": stage("raw:1", "src:2", out="model:new"),
    "times": stage("model:new", out="metrics/qa_times.json:1"),
}


def test_outs_that_were_made_of_earlier_files_are_outdated() -> None:
    assert outdated_stages(TRAINED) == {"predict", "score"}
    fresh = TRAINED | {"predict": stage("model:new", out="logits:1")}
    assert not outdated_stages(fresh)
    assert outdated_stages(fresh | {"score": stage("logits:0", out="metrics/qa.json:1")})


def test_outs_within_a_folder_that_a_stage_reads_make_it_outdated() -> None:
    runs = {f"run{n}": stage(f"model{n}:1", out=f"runs/{n}:1") for n in (1, 2)}
    models = {f"train{n}": stage(out=f"model{n}:{n}") for n in (1, 2)}
    compare = {"compare": stage("runs:5", out="table:1"), "other": stage("run:5", out="x:1")}
    assert outdated_stages(runs | models | compare) == {"run2", "compare"}


def test_a_folder_is_the_same_with_and_without_a_slash() -> None:
    stages = {"b": stage("m/:1", out="y:1"), "a": stage("x:0", out="m/n:1"), "x": stage(out="x:1")}
    assert outdated_stages(stages) == {"a", "b"}


def test_what_is_left_of_a_renamed_stage_makes_nothing_outdated() -> None:
    stages = {
        "old": stage("x:0", out="m:1"), "new": stage("x:1", out="m:1"),
        "x": stage(out="x:1"), "b": stage("m:1", out="y:1"),
    }  # fmt: skip
    assert outdated_stages(stages) == {"old"}


def test_a_file_within_an_out_is_outdated_with_it() -> None:
    stages = {
        "read": stage("raw/a.json:1", out="read:1"),
        "make": stage("source:2", out="raw:1"),
        "source": stage(out="source:1"),
    }
    assert outdated_stages(stages) == {"make", "read"}


def test_stages_in_a_circle_are_refused() -> None:
    circle = {"a": stage("b:1", out="a:1"), "b": stage("a:1", out="b:1")}
    with pytest.raises(RetuneError, match=r"dvc\.lock: stages depend on each other in a circle: "):
        outdated_stages(circle)


def test_outs_that_were_made_by_other_params_are_outdated() -> None:
    stages = {
        "train": stage(out="model:1", **{"qa.model": "bert", "qa.train": {"lr": 1, "warm": {}}}),
        "score": stage("model:1", out="scores:1"),
        "other": stage(out="other:1"),
    }
    params = {"qa.model": "bert", "qa.train.lr": 1, "qa.train.warm": {}, "qa.models.lstm": 2}
    assert not outdated_stages(stages, params)
    everything = {"train", "score"}
    assert outdated_stages(stages, params | {"qa.train.lr": 2}) == everything
    assert outdated_stages(stages, params | {"qa.train.new": None}) == everything
    assert outdated_stages(stages, {"qa.model": "bert", "qa.train.lr": 1}) == everything


def test_a_run_that_ended_before_score_has_no_test_scores(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = [shown(f"bert-seed={n}", 2.0) | {"qa.seed": n} for n in (1, 2)]
    try_ = shown("try", 99.0) | {"lock": TRAINED, "qa.seed": 1}
    plant(monkeypatch, [try_, *seeds])
    assert {row["name"]: row["qa.f1"] for row in experiment_rows()} == {
        "bert-seed=1": 2.0, "bert-seed=2": 2.0, "try": None,
    }  # fmt: skip
    assert main(["table", "--experiments"]) == 0
    printed = capsys.readouterr()
    assert "bert-seed=2" in printed.out
    assert "try" not in printed.out
    assert "note: not shown: 1 run without test scores" in printed.err
    assert main(["table", "--json", "try"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["scored"], row["qa.f1"]) == (False, None)
    assert main(["table", "--seeds", "--json"]) == 0
    (variant,) = json.loads(capsys.readouterr().out)["variants"]
    assert variant["seeds"] == [1, 2]


def test_a_run_whose_lock_has_no_score_has_no_test_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, [shown("a", 2.0) | {"lock": {}}])
    (row,) = experiment_rows()
    assert (row["scored"], row["qa.f1"]) == (False, None)


def test_figures_of_the_workspace_are_those_of_its_last_model(workspace: Path) -> None:
    stages = {
        "train": TRAINED["train"] | {"params": {"params.yaml": {"qa.model": "lstm"}}},
        "predict": TRAINED["predict"] | {"params": {"params.yaml": {"qa.model": "bert"}}},
    }
    (workspace / "dvc.lock").write_text(json.dumps({"stages": TRAINED | stages}))
    row = workspace_row(workspace)
    assert (row["qa.model"], row["qa.f1"], row["qa.train_seconds"]) == ("lstm", None, 60.0)
