"""Few-shot protocols that cannot be planned, run, read or compared."""

from collections.abc import Callable

import pytest
from compare.scored_runs import rows
from few_shot.few_shot_projects import SMALL, Project

from retune.core.errors import RetuneError
from retune.tools.cli.main import main
from retune.tools.compare.systems import System, compared
from retune.tools.experiments.listing import Ref
from retune.tools.few_shot.plan import Sizes, plan


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(monkeypatch)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["qa.model=bert,lstm"], "2 settings, but a protocol is of one", id="P83 two"),
        pytest.param(["qa.seed=3"], "qa.seed: the protocol sets this; give --train", id="P83 seed"),
        pytest.param(
            ["qa.download.test_limit=3"],
            "qa.download.test_limit: the protocol sets this; give --train, --validation, --test",
            id="P83 limit",
        ),
        pytest.param(
            ["--train", "0"], "--train 0: give the number of questions", id="P83 no train"
        ),
        pytest.param(["--test", "-1"], "--test -1: give the number of questions", id="P83 test"),
        pytest.param(["--draws", "1"], "--draws 1: give a number from 2 to", id="P83 one draw"),
        pytest.param(
            ["--train", "1024"],
            "the training split has 981 questions, but each draw needs 1,024; give --train with at "
            "most half of them (490), or a larger data set (such as qa.dataset=squad)",
            id="V89 too few training questions",
        ),
        pytest.param(
            ["qa.train.keep=last", "qa.download.fold=1/5", "qa.download.validation_share=null"],
            "the protocol needs validation questions, but there is no validation "
            "split: set qa.download.validation_share (such as 0.1)",
            id="V90 no validation split",
        ),
    ],
)
def test_a_protocol_that_cannot_be_planned_says_why(
    project: Project, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["few-shot", *SMALL, *words]) == 1
    assert message in capsys.readouterr().err
    assert not project.ran


def failing(project: Project) -> None:
    project.failing = "-draw=3"


def still_running(project: Project) -> None:
    name = plan([], Sizes(64, 32, 60, 4)).name
    project.running = [Ref(f"{name}-draw=2", "", "", "running"), Ref("other", "", "", "running")]


def on_other_data(project: Project) -> None:
    project.sizes["test"] = 59


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            failing,
            "-draw=3 (see logs/x.log); correct the cause and give the same command again, which",
            id="V91 a draw fails",
        ),
        pytest.param(
            still_running,
            "-draw=2 still runs, perhaps of a `retune few-shot` that was killed; wait until it",
            id="V92 a draw still runs",
        ),
        pytest.param(
            on_other_data,
            "-draw=1 has 64 train, 32 validation, 59 test questions instead of 64 train, 32 "
            "validation, 60 test, because the data changed while it ran; run `retune few-shot` "
            "again with --replace",
            id="V93 other data",
        ),
    ],
)
def test_a_protocol_that_cannot_be_run_or_read_says_why(
    project: Project,
    change: Callable[[Project], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(project)
    assert main(["few-shot", *SMALL]) == 1
    assert message in capsys.readouterr().err


def system(name: str, *draws: int) -> System:
    return System(name, [rows(2)] * len(draws), draws, draws=draws)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        pytest.param(
            (1, 2), "one has 3 draws and two has 2; run `retune few-shot`", id="V94 fewer"
        ),
        pytest.param((1,), "one has 3 draws and two has 1; run `retune", id="V94 one"),
        pytest.param(
            (1, 2, 2), "two: draw 2 is there twice; name the draws of one", id="V94 twice"
        ),
    ],
)
def test_protocols_with_different_draws_are_not_compared(
    other: tuple[int, ...], message: str
) -> None:
    with pytest.raises(RetuneError, match=message):
        compared([system("one", 1, 2, 3), system("two", *other)])
