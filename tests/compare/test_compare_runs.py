"""`retune compare` of experiments and commits, and how often the test questions were looked at."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from compare.scored_runs import Runs, comparison

from retune.tools.claims.looks import looks, rows
from retune.tools.cli.main import main
from retune.tools.compare.saved import means, summary
from retune.tools.compare.tables import rank

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first run, and experiments: one, two seeds of another, and one by other rules."""
    runs = Runs(tmp_path_factory.mktemp("runs"))
    runs.run(1)
    runs.experiment("lstm", 2)
    runs.experiment("bert-seed=1", 4)
    runs.experiment("bert-seed=2", 3, seed=2)
    runs.experiment("plain", 3, score={"normalizer": "plain"})
    runs.experiment("stopped", 4, stopped=True)
    return runs.folder


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def as_json(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert main(["compare", *arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_experiments_are_compared_by_name_and_all_seeds_of_one_together(capsys: Capture) -> None:
    value = as_json(capsys, "lstm", "bert", "HEAD")
    systems = {system["name"]: system for system in value["systems"]}
    assert [*systems] == ["bert", "lstm", "HEAD"]
    assert systems["bert"]["runs"] == [
        {"seed": 1, "exact_match": 100.0, "f1": 100.0},
        {"seed": 2, "exact_match": 75.0, "f1": 75.0},
    ]
    assert systems["bert"]["scores"]["f1"]["value"] == pytest.approx(87.5)
    assert systems["bert"]["costs"] == {"parameters": 7e6, "train_seconds": 45.0}
    assert systems["HEAD"]["scores"]["f1"]["value"] == 25.0
    pair = value["pairs"][3]
    assert (pair["one"], pair["other"], pair["verdict"]) == ("bert", "lstm", "better")
    assert pair["p_value"] == 2 / 2**8  # all eight passages have the same sign


def test_a_run_of_one_seed_is_a_system_and_several_are_named(capsys: Capture) -> None:
    value = as_json(capsys, "bert-seed=2", "ours=bert-seed=1,bert-seed=2")
    runs = {system["name"]: [r["seed"] for r in system["runs"]] for system in value["systems"]}
    assert runs == {"ours": [1, 2], "bert-seed=2": [2]}


def test_a_run_that_was_not_scored_is_not_compared_by_the_scores_of_another(
    capsys: Capture,
) -> None:
    assert main(["compare", "stopped", "lstm"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "stopped: its settings were not scored on test, because the run ended with an" in error


def test_experiments_of_this_commit_go_first(
    tmp_path: Path, capsys: Capture, monkeypatch: Any
) -> None:
    runs = Runs(tmp_path)
    runs.run(1)
    runs.experiment("bert", 1)
    runs.experiment("lstm-seed=1", 1)
    runs.run(2)
    runs.experiment("bert-seed=1", 4)
    runs.experiment("lstm-seed=1", 2)
    monkeypatch.chdir(tmp_path)
    value = as_json(capsys, "bert", "lstm")
    assert [system["scores"]["f1"]["value"] for system in value["systems"]] == [100.0, 50.0]


def test_costs_stand_beside_quality(capsys: Capture) -> None:
    assert main(["compare", "lstm", "bert"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["system", "weights", "train", "s", "F1/M", "F1/min"] in lines
    assert ["bert", "7.0M", "45", "12.50", "116.67"] in lines


def test_the_last_run_is_a_system(project: Path, capsys: Capture) -> None:
    value = as_json(capsys, "workspace", "lstm")
    names = [system["name"] for system in value["systems"]]
    assert sorted(names) == ["lstm", "workspace"]


def test_the_verdict_says_how_often_the_test_questions_were_looked_at(capsys: Capture) -> None:
    assert main(["compare", "bert", "--against", "lstm"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "VERDICT better f1 +37.5 [37.5, 37.5] p=0.00781 looks=5"


def test_works_from_a_subfolder(project: Path, capsys: Capture, monkeypatch: Any) -> None:
    monkeypatch.chdir(project / "metrics")
    assert main(["compare", "bert", "lstm"]) == 0
    assert "bert is better than lstm" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        (["bert", "gpt"], "gpt: no predictions file, experiment or commit of that name; experi"),
        (["bert", "plain"], "bert was scored with qa.score.normalizer: squad, plain with plain"),
        (["a=lstm,plain", "bert"], "a: its runs lstm and plain were scored by different rules"),
        (["bert", "a="], "'a=' names no system"),
    ],
)
def test_what_cannot_be_compared_is_named(
    systems: list[str], message: str, capsys: Capture
) -> None:
    assert main(["compare", *systems]) == 2
    assert message in capsys.readouterr().err


def test_scores_that_are_not_in_the_cache_are_named(
    tmp_path: Path, monkeypatch: Any, capsys: Capture
) -> None:
    runs = Runs(tmp_path)
    runs.run(1)
    runs.run(2)
    shutil.rmtree(tmp_path / ".dvc" / "cache")
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "HEAD", "HEAD~1"]) == 2
    assert "HEAD: the scores of its questions (data/qa/scores/questions.jsonl) are not in" in (
        capsys.readouterr().err
    )


def test_a_saved_comparison_says_what_is_not_separable_and_what_could_be_shown() -> None:
    saved = comparison(best=[4, 4, 4], middle=[2, 2, 3], low=[2, 2, 2])
    drawn, ties, smallest = summary(saved, "`")
    assert drawn.startswith(
        "Drawn: 32 questions in 8 passages; scores are means over 3 runs. Intervals: bootstrap"
    )
    assert ties == "Not separable by F1: none."
    assert smallest == (
        "The smallest difference that this test shows in four cases of five is 0.0 points of F1 "
        "for `best` and `low`, and 0.0 for `middle` and `low`."
    )
    assert [rank(system["rank"]) for system in saved["systems"]] == ["1", "2", "3"]
    (mean,) = {means(system)["f1"].value for system in saved["systems"][:1]}
    assert mean == 100.0
    drawn, ties, _ = summary(comparison(one=[2], same=[2, 2], other=[2]))
    assert "scores are means over 1 to 2 runs" in drawn
    assert ties == "Not separable by F1: one from same, other; same from other."


def test_looks_are_counted_in_git_in_the_cache_and_in_the_ledger(tmp_path: Path) -> None:
    assert looks(tmp_path) == set()
    runs = Runs(tmp_path)
    assert looks(tmp_path) == set()
    runs.run(1)
    runs.run(1)  # the same predictions once more
    runs.run(2, test="u")  # on other questions
    runs.run(2)
    assert looks(tmp_path) == {"11111111", "21212121"}
    stage = yaml.safe_load((tmp_path / "dvc.lock").read_text(encoding="utf-8"))["stages"]["score"]
    stage["deps"][1]["md5"] = "f" * 32
    for name, value in (("a", stage), ("b", "not a run")):
        runs.write(f".dvc/cache/runs/aa/aabb/{name}", value)
    assert looks(tmp_path) == {"11111111", "21212121", "ffffffff"}
    ledger = [{"test": "tttttttt.dir", "predictions": ["99999999", "ffffffff"]}]
    runs.write("claims.yaml", {"claims": {}, "looks": ledger})
    assert looks(tmp_path) == {"11111111", "21212121", "99999999", "ffffffff"}


def test_looks_at_one_test_split_do_not_count_for_another(tmp_path: Path) -> None:
    def scored(test: str, predictions: str) -> Any:
        sums = {"data/test": test, "data/predictions": predictions}
        return {"cmd": "", "deps": [{"path": path, "md5": md5} for path, md5 in sums.items()]}

    stages = {"score@a": scored("t" * 32, "1" * 32), "score@b": scored("u" * 32, "2" * 32)}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    assert rows(tmp_path, [""]) == [
        {"test": "t" * 32, "predictions": ["1" * 8]},
        {"test": "u" * 32, "predictions": ["2" * 8]},
    ]
