import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from planted_experiments import plant

from retune.core.errors import RetuneError
from retune.tools.cli.main import main
from retune.tools.experiments import sweep as module
from retune.tools.experiments.experiments import Experiment
from retune.tools.experiments.sweep import Outcome, sweep
from retune.tools.project import commands

ONE, TWO = Experiment("one", {"qa.seed": 1}), Experiment("two", {"qa.seed": 2})


class FakeDvc:
    """Stands in for the dvc command: knows some experiments, fails at some names."""

    def __init__(self, existing: str = "", failing: str = "", broken: bool = False) -> None:
        self.calls: list[list[str]] = []
        self.existing, self.failing, self.broken = existing, failing, broken

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        words = list(command[3:])
        self.calls.append(words)
        if words[:2] == ["exp", "run"]:
            print("output of the run", file=options["stdout"])
            return subprocess.CompletedProcess(command, int(self.failing in words))
        return subprocess.CompletedProcess(command, int(self.broken), self.existing, "not a repo")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params, where everything runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("qa: {model: bert, seed: 1}\n", encoding="utf-8")
    return tmp_path


def use(monkeypatch: pytest.MonkeyPatch, fake: FakeDvc) -> FakeDvc:
    monkeypatch.setattr(module.subprocess, "run", fake)
    return fake


def test_experiments_run_one_after_the_other_each_with_a_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = use(monkeypatch, FakeDvc(failing="one"))
    outcomes = sweep([ONE, TWO], replace=False, logs=tmp_path / "logs")
    assert outcomes == [
        Outcome("one", True, tmp_path / "logs" / "one.log"),
        Outcome("two", False, tmp_path / "logs" / "two.log"),
    ]
    runs = [call for call in fake.calls if call[:2] == ["exp", "run"]]
    assert runs[1] == ["exp", "run", "--temp", "--name", "two", "-S", "qa.seed=2"]
    assert sum(call[:2] == ["exp", "list"] for call in fake.calls) == 1
    log = (tmp_path / "logs" / "two.log").read_text().splitlines()
    assert log == ["$ dvc exp run --temp --name two -S qa.seed=2", "output of the run"]


def test_what_is_there_already_is_run_again_only_on_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = use(monkeypatch, FakeDvc(existing="one\nother\n"))
    with pytest.raises(
        RetuneError, match="there are already experiments of that name: one; give --replace"
    ):
        sweep([ONE, TWO], replace=False, logs=tmp_path)
    assert not any(call[:2] == ["exp", "run"] for call in fake.calls)
    sweep([ONE, TWO], replace=True, logs=tmp_path)
    assert ["exp", "remove", "one"] in fake.calls


def test_a_sister_pipeline_runs_with_the_experiments_in_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    presets = tmp_path / "pipelines/small/experiments"
    presets.mkdir(parents=True)
    (presets.parent / "dvc.yaml").touch()
    (presets.parent / "params.yaml").write_text("qa: {seed: 1}\n")
    (presets / "one.yaml").write_text("qa: {seed: 3}\n")
    fake = use(monkeypatch, FakeDvc())
    assert main(["sweep", "--pipeline", "small", "one", "qa.seed=4"]) == 0
    assert [call[5:] for call in fake.calls if call[:2] == ["exp", "run"]] == [
        ["-S", "pipelines/small/params.yaml:qa.seed=3", "pipelines/small/dvc.yaml"],
        ["-S", "pipelines/small/params.yaml:qa.seed=4", "pipelines/small/dvc.yaml"],
    ]


def test_seeds_of_a_sister_take_the_place_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small = tmp_path / "pipelines/small"
    small.mkdir(parents=True)
    (small / "dvc.yaml").touch()
    (small / "params.yaml").write_text("toy: {seed: 1, lr: 2}\n")
    fake = use(monkeypatch, FakeDvc())
    asked: list[list[str]] = []
    monkeypatch.setattr("retune.tools.cli.tables.folded", lambda names: asked.append(names) or [])
    command = ["sweep", "--pipeline", "small", "toy.lr=3"]
    assert main([*command, "--seeds", "1,2"]) == 0
    runs = [call for call in fake.calls if call[:2] == ["exp", "run"]]
    assert [run[8] for run in runs] == [f"pipelines/small/params.yaml:toy.seed={n}" for n in (1, 2)]
    assert asked == [["lr=3-seed=1", "lr=3-seed=2"]]


@pytest.mark.parametrize(
    ("pipeline", "graph"),
    [([], "dvc.yaml"), (["--pipeline", "small"], "pipelines/small/dvc.yaml")],
)
def test_only_what_leads_to_the_named_stages_runs(
    pipeline: list[str], graph: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small = tmp_path / "pipelines/small"
    small.mkdir(parents=True)
    (small / "dvc.yaml").touch()
    (small / "params.yaml").write_text("qa: {seed: 1}\n")
    fake = use(monkeypatch, FakeDvc())
    stages = ["--stage", "train@0", "--stage", "score"]
    assert main(["sweep", *pipeline, *stages, "qa.seed=4"]) == 0
    (run,) = [call for call in fake.calls if call[:2] == ["exp", "run"]]
    assert run[7:] == [f"{graph}:train@0", f"{graph}:score"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pipeline", "large"], "--pipeline large: no such pipeline; there are: none"),
        (["--pipeline", "large", "--seeds", "1,2"], "--pipeline large: no such pipeline; there"),
    ],
)
def test_an_unknown_pipeline_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *words, "qa.seed=1"]) == 1
    assert message in capsys.readouterr().err


def test_two_experiments_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="two experiments have one name: one, one"):
        sweep([ONE, ONE], replace=False, logs=tmp_path)


def test_dvcs_own_error_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, FakeDvc(broken=True))
    with pytest.raises(RetuneError, match="dvc exp list --all-commits --names-only: not a repo"):
        sweep([ONE], replace=False, logs=tmp_path)


def test_the_cost_is_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    use(monkeypatch, FakeDvc())
    assert main(["sweep", "qa.seed=1"]) == 0
    assert "the last training" not in capsys.readouterr().err
    (project / "metrics").mkdir()
    times = project / "metrics" / "qa_times.json"
    times.write_text(json.dumps({"qa": {"train_seconds": 90.0}}), encoding="utf-8")
    assert main(["sweep", "qa.seed=1,2,3,4"]) == 0
    said = "note: the last training took 90 s; 4 like it take 6 minutes. What DVC's cache has is "
    assert said in capsys.readouterr().err


def test_the_command_exits_1_and_names_the_logs_of_failures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, FakeDvc(failing="seed=1"))
    assert main(["sweep", "qa.seed=1,2", "--json"]) == 1
    printed = capsys.readouterr()
    assert '"failed": true' in printed.out
    assert "1 of 2 experiments done" in printed.err
    assert "seed=1: see logs/seed=1.log" in printed.err
    assert main(["sweep", "qa.seed=2"]) == 0


def test_seeds_run_each_experiment_with_each_and_fold_what_ended_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = use(monkeypatch, FakeDvc(failing="lstm-seed=2"))
    rows = [
        {"name": f"{m}-seed={s}", "qa.model": m, "qa.seed": float(s), "qa.f1": f1 + s}
        for m, f1 in (("bert", 40.0), ("lstm", 10.0))
        for s in (1, 2, 3)
    ]
    plant(monkeypatch, rows)
    command = ["sweep", "qa.model=bert,lstm", "--seeds", "1,2,3"]
    assert main([*command, "--json"]) == 1
    ran = [call for call in fake.calls if call[:2] == ["exp", "run"]]
    assert ran[4][4:] == ["lstm-seed=2", "-S", "qa.model=lstm", "-S", "qa.seed=2"]
    assert len(ran) == 6
    folded = json.loads(capsys.readouterr().out)
    assert [outcome["failed"] for outcome in folded["outcomes"]].count(True) == 1
    bert, lstm = folded["variants"]
    assert bert["metrics"]["qa.f1"]["mean"] == 42.0
    assert lstm["seeds"] == [1, 3]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert "F1      2 of 3  12.00" in printed.out
    assert "seed noise is unknown with fewer than 3 seeds in common" in printed.out
    assert "lstm-seed=2: see logs/lstm-seed=2.log" in printed.err


def test_where_every_seed_fails_there_is_nothing_to_fold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, FakeDvc(failing="bert-seed=1"))
    assert main(["sweep", "qa.model=bert", "--seeds", "1", "--json"]) == 1
    folded = json.loads(capsys.readouterr().out)
    assert (folded["variants"], folded["gaps"]) == ([], [])


def test_folders_that_a_copy_would_not_have_are_taken_along(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.git(project, "init", "--quiet")
    for name in ("known", "data/mine/more", "dvc's/part", "data/other", "data/encoder"):
        (project / name).mkdir(parents=True)
        (project / name / "train.tsv").touch()
    (project / "dvc's.dvc").touch()
    commands.git(project, "add", "known")
    folders = [
        "known", "data/mine", "data/mine/more", "./data/mine/", "dvc's", "dvc's/part", "absent",
        str(project / "data"), f"../{project.name}", "null",
    ]  # fmt: skip
    lines = [f'part{n}: {{folder: "{folder}"}}' for n, folder in enumerate(folders)]
    lines += ["b: {folder: x, name: data}", "c: {checkpoint: {name: data/encoder}}"]
    (project / "params.yaml").write_text("\n".join(lines))
    fake = FakeDvc()
    run = subprocess.run
    monkeypatch.setattr(
        module.subprocess, "run",
        lambda command, **options: (run if command[0] == "git" else fake)(command, **options),
    )  # fmt: skip
    sweep([Experiment("one", {"b.folder": "data/other"})], replace=False)
    (ran,) = (call for call in fake.calls if call[:2] == ["exp", "run"])
    along = [f"data/{name}" for name in ("encoder", "mine", "other")]
    copied = [part for folder in along for part in ("--copy-paths", folder)]
    assert ran[5:] == ["-S", "b.folder='data/other'", *copied]


def test_a_killed_run_says_so_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake, removed = FakeDvc(), []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        done = fake(command, **options)
        is_run = command[3:5] == ["exp", "run"]
        return subprocess.CompletedProcess(command, -9 if is_run else 0, done.stdout, "")

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module.leftovers, "remove_killed", lambda _, name: removed.append(name))
    (outcome,) = sweep([ONE], replace=False, logs=tmp_path)
    assert outcome.error.endswith("output of the run\nkilled by signal 9")
    assert removed == ["one"]


def test_a_pipeline_with_a_dvc_project_of_its_own_runs_in_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small = tmp_path / "pipelines/small"
    (small / ".dvc").mkdir(parents=True)
    (small / "dvc.yaml").touch()
    (small / "params.yaml").write_text("qa: {seed: 1}\n")
    folders = []
    fake = FakeDvc()

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        folders.append(options["cwd"])
        return fake(command, **options)

    monkeypatch.setattr(module.subprocess, "run", run)
    assert main(["sweep", "--pipeline", "small", "--stage", "train", "qa.seed=4"]) == 0
    (ran,) = (call for call in fake.calls if call[:2] == ["exp", "run"])
    assert ran[5:] == ["-S", "qa.seed=4", "dvc.yaml:train"]
    assert {*folders} == {Path("pipelines/small")}
