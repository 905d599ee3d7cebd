"""Learning curves that cannot be planned, run or read, and shares that contradict a limit."""

from collections.abc import Callable
from pathlib import Path

import pytest
from curve.curve_projects import Project, scores

from retune.core.errors import RetuneError
from retune.preflight.validation import require_valid
from retune.tools.cli.main import main
from retune.tools.compare.sources import VALIDATION_SCORES as SCORES
from retune.tools.curve import forecast

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    return Project(monkeypatch, lambda size: 100 - 80 * (size / 20) ** -0.35)


def changed_params(project: Project) -> None:
    path = Path("params.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace("bert", "lstm"), encoding="utf-8")


def without_data(project: Project) -> None:
    Path("data/qa/raw/train.jsonl").unlink()


def without_scores(project: Project) -> None:
    SCORES.unlink()


def limited(project: Project) -> None:
    project.write_last_run(download={"train_limit": 100, "train_share": None, "train_draw": 1})


def of_a_part(project: Project) -> None:
    project.write_last_run(download={"train_limit": None, "train_share": 0.5, "train_draw": 1})


def without_validation(project: Project) -> None:
    project.metrics("qa_download", download=[{"split": "train", "questions": 400}])


def with_two_articles(project: Project) -> None:
    path = Path("data/qa/raw/train.jsonl")
    rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(rows[:20]), encoding="utf-8")


def with_a_run_that_fails(project: Project) -> None:
    project.failing = "-0.2-seed=2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            changed_params,
            "planned from the last run, but qa.model changed since; run `dvc repro` first",
            id="V81 changed params",
        ),
        pytest.param(
            without_data,
            "but data/qa/raw/train.jsonl is missing; run `dvc repro` first",
            id="V81 no data",
        ),
        pytest.param(
            without_scores,
            "but data/qa/validation_scores/questions.jsonl is missing; run `dvc repro` first",
            id="V81 no validation scores",
        ),
        pytest.param(
            limited,
            "qa.download.train_limit is 100: a curve needs a last run on all training questions",
            id="V82 a limit",
        ),
        pytest.param(
            of_a_part,
            "qa.download.train_share is 0.5: a curve needs a last run on all training questions",
            id="V82 a share",
        ),
        pytest.param(
            without_validation,
            "a curve is scored on the validation split, but there is none: set",
            id="V83 no validation split",
        ),
        pytest.param(
            with_two_articles,
            "too few articles for a curve: parts of whole articles have 1 sizes, and 3 are needed",
            id="V84 two articles",
        ),
        pytest.param(
            with_a_run_that_fails,
            "run `retune curve` again, which runs what is missing",
            id="V85 a run fails",
        ),
    ],
)
def test_a_curve_that_cannot_be_made_says_why(
    project: Project,
    change: Callable[[Project], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(project)
    assert main(["curve"]) == 1
    assert message in capsys.readouterr().err


def test_v86_runs_on_other_validation_questions(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forecast, "scores_of", lambda ref, path: scores(50.0, 1)[1:])
    assert main(["curve"]) == 1
    assert "was scored on other validation questions than the last run, because the data" in (
        capsys.readouterr().err
    )


def test_v86_runs_on_another_number_of_questions(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = [{"split": "train", "questions": 21}]
    monkeypatch.setattr(forecast, "recorded_splits", lambda ref: recorded)
    assert main(["curve"]) == 1
    assert (
        "was trained on 21 questions instead of 20, because the data changed; run `dvc repro`"
        in (capsys.readouterr().err)
    )


def test_p81_a_share_and_a_limit_of_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for old, new in (("train_limit: null", "train_limit: 10"),
                     ("train_share: null", "train_share: 0.5")):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    params = tmp_path / "params.yaml"
    params.write_text(text, encoding="utf-8")
    with pytest.raises(RetuneError, match="train_share and train_limit both cut train"):
        require_valid(Path(), params)
