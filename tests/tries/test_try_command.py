"""What `retune try` prints, and its exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tries.searches import BETTER, FakeRunner, project

from retune.core.errors import RetuneError
from retune.core.params import load_yaml
from retune.tools.cli.main import main
from retune.tools.experiments.experiments import Experiment
from retune.tools.experiments.sweep import Outcome
from retune.tools.tries import command, runs
from retune.tools.tries.runs import SPLITS, DvcRunner

BEGIN = ["--begin", "--tries", "5", "--seeds", "1,2,3"]
ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    """A project whose runs train nothing."""
    monkeypatch.chdir(project(tmp_path))
    fake = FakeRunner()
    monkeypatch.setattr(command, "DvcRunner", lambda: fake)
    monkeypatch.setattr(command, "scored", lambda _: set())
    monkeypatch.setattr(command, "looks_at", lambda tests, _: {*tests, "a"})
    return fake


def call(capsys: Capture, *arguments: str) -> tuple[int, list[str]]:
    code = main(["try", *arguments])
    return code, " ".join(capsys.readouterr().out.split("\n")).split()


def last_line(capsys: Capture, *arguments: str) -> tuple[int, str]:
    code = main(["try", *arguments])
    return code, capsys.readouterr().out.splitlines()[-1]


def test_a_search_from_its_plan_to_its_end(capsys: Capture) -> None:
    assert last_line(capsys, *BEGIN) == (0, "VERDICT base tries=0/5")
    code, line = last_line(capsys, "noise", "qa.train.epochs=3")
    assert code == 3
    assert line.startswith("VERDICT dropped f1 ")
    assert line.endswith(" tries=1/5")
    code, line = last_line(capsys, "better", *BETTER)
    assert code == 0
    assert line.startswith("VERDICT kept f1 +")
    assert main(["try"]) == 0
    listed = capsys.readouterr().out
    assert [row.split()[:3] for row in listed.splitlines()[1:4]] == [
        ["base", "base", "47.41"], ["noise", "qa.train.epochs=3", "dropped"],
        ["better", "qa.train.lr=3e-4", "kept"],
    ]  # fmt: skip
    assert "3 of 5 tries are left." in listed
    code, line = last_line(capsys, "--end")
    assert code == 0
    assert line.startswith("VERDICT better f1 +")
    assert line.endswith(" looks=2")
    assert main(["try"]) == 0
    assert "The search has ended: better." in capsys.readouterr().out


def test_where_nothing_was_kept_the_base_stands(capsys: Capture) -> None:
    main(["try", *BEGIN])
    assert last_line(capsys, "--end") == (3, "VERDICT nothing-kept looks=2")


def test_json_has_the_plan_and_every_entry(capsys: Capture) -> None:
    assert main(["try", *BEGIN, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "base"
    main(["try", "better", *BETTER])
    capsys.readouterr()
    assert main(["try", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["plan"]["tries"] == 5
    assert [entry["name"] for entry in told["results"]] == ["base", "better"]


def test_looks_outside_the_ledger_are_named(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["try", *BEGIN])
    monkeypatch.setattr(command, "scored", lambda _: {("secret", "")})
    capsys.readouterr()
    _, words = call(capsys, "better", *BETTER)
    assert "but are in no result of the ledger" in " ".join(words)
    assert "secret" in words
    assert "times 6 tries:" in " ".join(words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--begin", "--end"], "--begin and --end exclude each other"),
        (["--end", "a", "b=1"], "--begin and --end take no NAME and no changes"),
        (["--begin"], "--begin needs the plan: --tries 20 --seeds 1,2,3"),
        (["a", "b=1", "--tries", "3"], "--tries, --seeds and --metric belong to --begin"),
        (["a"], "a try needs a name and changes: retune try NAME KEY=VALUE"),
        (["a=1", "b=1"], "a try needs a name and changes"),
        ([], "there is no search yet"),
    ],
)
def test_wrong_command_lines_say_what_is_right(
    arguments: list[str], message: str, capsys: Capture
) -> None:
    assert main(["try", *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--tries", "many"], "'many' is not a number"),
        (["--metric", "loss"], "'loss'; allowed: f1, exact_match"),
    ],
)
def test_wrong_values_of_options_are_refused(
    option: list[str], message: str, capsys: Capture
) -> None:
    with pytest.raises(SystemExit):
        main(["try", "--begin", *option])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("split", SPLITS)
def test_the_graph_scores_each_split_as_the_runs_are_read(split: str) -> None:
    of = SPLITS[split]
    stage = load_yaml(ROOT / "dvc.yaml")["stages"][of.stage]
    assert of.questions in stage["deps"]
    assert of.scores.parent.as_posix() in stage["outs"]


def test_a_failed_run_names_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Experiment] = []

    def failing(experiments: list[Experiment], **options: Any) -> list[Outcome]:
        asked.extend(experiments)
        assert options == {"replace": False, "stages": ["validate"]}
        return [Outcome(each.name, True, Path("logs/x.log"), "boom") for each in experiments]

    monkeypatch.setattr(runs, "sweep", failing)
    monkeypatch.setattr(runs, "_finished", dict)
    with pytest.raises(RetuneError, match=r"a-seed=1: see logs/x.log\nboom\n.*\n.*\ncorrect the"):
        DvcRunner().run("a", {"qa.train.lr": "1e-5"}, [1, 2], "validation")
    assert [each.name for each in asked] == ["a-seed=1", "a-seed=2"]
    assert asked[0].changes == {"qa.train.lr": "1e-5", "qa.seed": 1}
