"""`retune curve`: what it costs, what it runs, how it goes on, and what it says."""

import json
from pathlib import Path
from typing import Any

import pytest
from curve.curve_projects import ARTICLES, EACH, Project, scores

from retune.tools.cli.main import main
from retune.tools.curve import forecast
from retune.tools.curve.plan import SHARES, plan
from retune.tools.experiments.experiments import CURVE

Capture = pytest.CaptureFixture[str]


def steep(size: float) -> float:
    return 100 - 80 * (size / 20) ** -0.35


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    return Project(monkeypatch, steep)


def as_json(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert main(["curve", "--json", *arguments]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_cost_is_printed_before_anything_runs(project: Project, capsys: Capture) -> None:
    assert main(["curve", "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "12 trainings on 840 questions and about 1,680 windows in all: 2.10 times the last run, "
        "about 10 minutes of training on the machine of the last run\n"
    )
    assert not project.ran


def test_each_part_runs_with_each_seed_as_an_experiment_of_its_own(
    project: Project, capsys: Capture
) -> None:
    value = as_json(capsys)
    drawn = [
        (one.changes["qa.download.train_share"], one.changes["qa.seed"]) for one in project.ran
    ]
    assert drawn == [(share, seed) for share in SHARES for seed in (1, 2, 3)]
    for one in project.ran:
        assert one.changes["qa.download.train_draw"] == one.changes["qa.seed"]
        share, seed = one.changes["qa.download.train_share"], one.changes["qa.seed"]
        assert one.name.startswith("curve-")
        assert one.name.endswith(f"-{share}-seed={seed}")
    assert value["cost"]["trainings"] == pytest.approx(2.1)
    assert [m["questions"] for m in value["measured"]] == [20, 40, 80, 140, ARTICLES * EACH]
    assert [len(m["f1"]) for m in value["measured"]] == [3, 3, 3, 3, 1]


def test_a_killed_curve_goes_on_with_what_is_missing(project: Project, capsys: Capture) -> None:
    project.failing = "-0.2-seed=2"
    assert main(["curve"]) == 1
    error = capsys.readouterr().err
    assert "1 of 12 runs failed: curve-" in error
    assert "run `retune curve` again, which runs what is missing" in error
    project.failing = ""
    assert main(["curve"]) == 0
    assert [one.name.endswith("-0.2-seed=2") for one in project.ran[12:]] == [True]
    assert capsys.readouterr().err.startswith(
        "1 training (11 more are done) on 80 questions and about 160 windows in all: 0.20 times"
    )
    assert main(["curve", "--dry-run"]) == 0
    assert capsys.readouterr().err == "all 12 trainings are done\n"
    assert main(["curve", "--replace"]) == 0
    assert len(project.ran) == 12 + 1 + 12


def test_other_settings_code_and_data_are_another_curve(project: Project) -> None:
    def key() -> str:
        planned = plan([1, 2, 3])
        return planned.experiment(planned.parts[0]).name

    keys = [key()]
    project.write_last_run(model="lstm")
    keys.append(key())
    project.commit("src/a.py", "one")
    keys.append(key())
    project.commit("README.md", "no code")
    assert key() == keys[-1]
    Path("src/a.py").write_text("two", encoding="utf-8")
    keys.append(key())
    Path("data/qa/raw/validation.jsonl").write_text("other", encoding="utf-8")
    keys.append(key())
    assert len({*keys}) == 5
    assert all(CURVE.fullmatch(name) for name in keys)


def test_a_steep_curve_asks_for_more_data(project: Project, capsys: Capture) -> None:
    value = as_json(capsys)
    double = value["forecasts"][1]
    assert double["questions"] == 2 * ARTICLES * EACH
    assert double["gain"]["value"] == pytest.approx(steep(800) - steep(400), abs=1.5)
    assert double["f1"]["low"] < steep(800) < double["f1"]["high"]
    assert value["verdict"] == "more data helps"
    assert value["sentence"].startswith("Twice the data would bring +")
    assert value["sentence"].endswith("(90 %): more data helps.")


def test_a_flat_curve_asks_for_another_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    Project(monkeypatch, lambda size: 60.0)
    monkeypatch.setattr(forecast, "scores_of", lambda ref, path: scores(60.0, 42))
    value = as_json(capsys)
    assert value["verdict"] == "the curve is flat"
    assert "try another encoder" in value["sentence"]


def test_noise_is_called_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    project = Project(monkeypatch, lambda size: 60.0)
    drawn = {1: 50.0, 2: 60.0, 3: 70.0}
    monkeypatch.setattr(
        forecast, "scores_of", lambda ref, path: scores(drawn[int(ref.name[-1])], 1)
    )
    value = as_json(capsys)
    assert project.ran
    assert value["verdict"] == "within noise"
    assert value["forecasts"][1]["gain"]["low"] < 0 < value["forecasts"][1]["gain"]["high"]


def test_the_terminal_shows_runs_forecasts_and_words(project: Project, capsys: Capture) -> None:
    assert main(["curve"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    rows = [line.split() for line in text.splitlines() if line]
    assert rows[0] == ["questions", "runs", "F1", "lowest", "to", "highest"]
    assert [row[:2] for row in rows[1:6]] == [
        ["20", "3"], ["40", "3"], ["80", "3"], ["140", "3"], ["400", "1"]
    ]  # fmt: skip
    assert rows[6] == ["questions", "F1", "expected", "90", "%", "gain", "90", "%"]
    assert [row[0] for row in rows[7:10]] == ["400", "800", "1,600"]
    words = " ".join(text.split())
    assert "Twice the data would bring" in words
    assert "F1 is the mean over 150 validation questions. The power law is 100 - F1 = " in words


def test_two_calls_print_the_same_bytes(project: Project, capsys: Capture) -> None:
    assert as_json(capsys) == as_json(capsys)


def test_more_seeds_may_cost_more(project: Project, capsys: Capture) -> None:
    assert main(["curve", "--dry-run", "--seeds", "1,2,3,4,5"]) == 0
    assert "20 trainings on 1,400 questions" in capsys.readouterr().err
