"""A training that was killed goes on to the bytes that it would have had."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import graph
import pytest
from graph import ROOT
from kills import killed_at
from safetensors import SafetensorError
from stage_runs import run_python
from training_runs import FROZEN, outputs, run, write_features

from retune.core.errors import RetuneError
from retune.core.manifests import seal
from retune.tasks.qa.models import bilstm_attention, transformer_encoder
from retune.tasks.qa.train.evaluation import Evaluation
from retune.training.resume import Checkpoints
from retune.training.run_key import run_key
from retune.training.trainer import JointTrainer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")


#: Two steps an epoch of 8 windows in batches of 4; 4 steps with batches of 2.
CASES: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": 0.2, "batch_size": 2, "epochs": 3},
    "accumulation": {"batch_size": 2, "gradient_accumulation": 2, "epochs": 2},
    "unlogged steps": {"batch_size": 2, "epochs": 2, "log_every": 3},
    "patience": {"epochs": 6, "patience": 2},
    "grouped": {
        "variant": bilstm_attention,
        "model": bilstm_attention.Params(
            embedding_size=8, hidden_size=8, dropout=0.2,
            pretrained_embeddings=True, freeze_embeddings=False,
        ),
        "batch_size": 2, "epochs": 2,
    },
    "encoder": {
        "variant": transformer_encoder,
        "model": transformer_encoder.Params(
            hidden_size=16, layers=1, attention_heads=2, feed_forward_size=32,
            max_positions=128, dropout=0.1, pretrained_embeddings=False,
        ),
        "batch_size": 2, "epochs": 2,
    },
    **{name: case | {"batch_size": 2, "epochs": 2} for name, case in FROZEN.items()},
}  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, str]]:
    known: dict[str, dict[str, str]] = {}

    def train(case: str) -> dict[str, str]:
        if case not in known:
            folder = tmp_path_factory.mktemp("unbroken")
            known[case] = outputs(run(data, folder, **CASES[case]))
        return known[case]

    return train


def train_killed(data: Path, folder: Path, kill: tuple[int, type, str], **case: Any) -> None:
    with killed_at(*kill):
        run(data, folder, resumable=True, **case)


STEP, SAVE = (JointTrainer, "training_step"), (JointTrainer, "_save_rng_state")


@pytest.mark.parametrize(
    ("case", "step"),
    [
        pytest.param("dropout", 1, id="T01 killed in the first step"),
        pytest.param("dropout", 3, id="T01 killed in mid-epoch"),
        pytest.param("dropout", 4, id="T01 killed in the last step of an epoch"),
        pytest.param("dropout", 5, id="T01 killed between epochs"),
        pytest.param("dropout", 12, id="T01 killed in the last step"),
        pytest.param("accumulation", 3, id="T01 killed within accumulated gradients"),
        pytest.param("unlogged steps", 3, id="T09 killed between rows of the curve"),
        pytest.param("grouped", 3, id="T01 killed in batches of similar length"),
        pytest.param("encoder", 3, id="T01 killed in a model with padding"),
        pytest.param("adapter", 3, id="T01 killed in the training of an adapter"),
        pytest.param("fusion", 6, id="T01 killed in the training of a fusion"),
        pytest.param("lora", 3, id="T01 killed in the training of LoRA"),
    ],
)
def test_killed_in_a_step(
    case: str, step: int, data: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, str]]
) -> None:
    train_killed(data, tmp_path, (step, *STEP), **CASES[case])
    assert outputs(run(data, tmp_path, resumable=True, **CASES[case])) == unbroken(case)
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("kill", "resumes_from"),
    [
        pytest.param((1, *SAVE), None, id="T02 killed in the first save"),
        pytest.param((3, *SAVE), 2, id="T02 killed in a save"),
        pytest.param((4, *SAVE), 3, id="T02 killed in the save of an epoch"),
        pytest.param((3, JointTrainer, "_save_state"), 2, id="T02 killed at the end of a save"),
        pytest.param((1, Evaluation, "__call__"), 3, id="T10 killed in an evaluation"),
        pytest.param((2, Evaluation, "__call__"), 7, id="T10 killed in a later evaluation"),
        pytest.param((1, Checkpoints, "remove"), 12, id="T01 killed after all is written"),
    ],
)
def test_killed_elsewhere(
    kill: tuple[int, type, str],
    resumes_from: int | None,
    data: Path,
    tmp_path: Path,
    unbroken: Callable[[str], dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_killed(data, tmp_path, kill, **CASES["dropout"])
    capsys.readouterr()
    assert outputs(run(data, tmp_path, resumable=True, **CASES["dropout"])) == unbroken("dropout")
    said = capsys.readouterr().err
    if resumes_from is None:
        assert "resuming from" not in said
    else:
        assert f"resuming from step {resumes_from}\n" in said


def test_killed_again_and_again(
    data: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, str]]
) -> None:
    for _ in range(5):  # each time two steps further
        train_killed(data, tmp_path, (3, *STEP), **CASES["dropout"])
    assert outputs(run(data, tmp_path, resumable=True, **CASES["dropout"])) == unbroken("dropout")


def script_scores(monkeypatch: pytest.MonkeyPatch, f1s: list[float]) -> None:
    """Let the evaluation after epoch n report the n-th F1, in whichever process it is."""

    def score(trainer: JointTrainer) -> dict[str, float]:
        return {"loss": 1.0, "exact_match": 0.0, "f1": f1s[round(trainer.state.epoch or 0) - 1]}

    original = JointTrainer.evaluate

    def evaluate(self: JointTrainer, *arguments: Any, **options: Any) -> dict[str, float]:
        self.score = lambda: score(self)  # type: ignore[assignment]
        return original(self, *arguments, **options)

    monkeypatch.setattr(JointTrainer, "evaluate", evaluate)


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param((6, *STEP), id="T08 killed while early stopping counts"),
        pytest.param((8, *STEP), id="T08 killed in the last step before it stops"),
        pytest.param((8, *SAVE), id="T08 killed in the save after it stopped"),
        pytest.param((1, Checkpoints, "remove"), id="T08 killed after it stopped"),
    ],
)
def test_early_stopping_counts_across_a_kill(
    kill: tuple[int, type, str],
    data: Path,
    tmp_path: Path,
    unbroken: Callable[[str], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script_scores(monkeypatch, [10, 50, 20, 40, 90, 99])  # stops after the fourth epoch
    train_killed(data, tmp_path, kill, **CASES["patience"])
    assert outputs(run(data, tmp_path, resumable=True, **CASES["patience"])) == unbroken("patience")


def damage(file: Path, how: str) -> None:
    match how:
        case "missing":
            file.unlink()
        case "cut":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        case "flipped":
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)


FILES = [
    "config.json", "manifest.json", "model.safetensors", "optimizer.pt", "rng_state.pth",
    "scheduler.pt", "trainer_state.json",
]  # fmt: skip


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("missing", id="T03 a file is missing"),
        pytest.param("cut", id="T04 a file is cut"),
        pytest.param("flipped", id="T04 a bit is flipped"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_a_word(
    how: str,
    data: Path,
    tmp_path: Path,
    unbroken: Callable[[str], dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The best one so far, of step 4, is the other one that is kept.
    train_killed(data, tmp_path, (6, *STEP), **CASES["dropout"])
    (folder,) = (tmp_path / "checkpoints").iterdir()
    checkpoints = Checkpoints(folder.parent, folder.name)
    newest, best = checkpoints[5], checkpoints[4]
    assert sorted(path.name for path in newest.iterdir()) == FILES
    for file in FILES:
        content = (newest / file).read_bytes()
        damage(newest / file, how)
        found = checkpoints.newest()
        assert found is not None
        assert found.path == best, file
        assert "the checkpoint of step 5 is not used: " in capsys.readouterr().err
        (newest / file).write_bytes(content)
    damage(best / "model.safetensors", how)  # without the best one the newest is no use
    assert checkpoints.newest() is None
    assert outputs(run(data, tmp_path, resumable=True, **CASES["dropout"])) == unbroken("dropout")


@pytest.mark.parametrize(
    ("changes", "threads"),
    [
        pytest.param({"lr": 1e-3}, 1, id="T06 other settings"),
        pytest.param({"seed": 2}, 1, id="T06 another seed"),
        pytest.param({}, 7, id="T23 another number of threads"),
    ],
)
def test_another_training_does_not_go_on(
    changes: dict[str, Any],
    threads: int,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train_killed(data, tmp_path, (6, *STEP), **CASES["dropout"])
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("torch.get_num_threads", lambda: threads)
        run(data, tmp_path, resumable=True, **(CASES["dropout"] | changes))
    assert "going on" not in capsys.readouterr().err
    run(data, tmp_path, resumable=True, **CASES["dropout"])  # the first one still can
    assert "resuming from step 5" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["qa", "sentiment"])
def test_the_key_is_of_the_code_that_the_stage_uses_and_of_no_command(task: str) -> None:
    """An edit of the report or of another variant leaves the checkpoints of a killed training."""
    code = (
        f"import json, stages.{task}.train, retune.tasks.{task}.models.lstm\n"
        "from retune.training.run_key import code_files\n"
        "print(json.dumps([str(path) for path in code_files()]))"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    files = {Path(file).relative_to(ROOT).as_posix() for file in json.loads(done.stdout)}
    variants = f"src/retune/tasks/{task}/models"
    assert f"{variants}/lstm.py" in files
    assert f"{variants}/bert.py" not in files
    rooms = {room for room in graph.rooms(ROOT / f"stages/{task}/train.py") if "." not in room}
    folders = {str(Path(file).parent) for file in files if not graph.is_choice(file)}
    assert folders - {"src/retune/tasks", f"src/retune/tasks/{task}"} == rooms
    there = [path for room in rooms for path in (ROOT / room).glob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in there} <= files


@pytest.mark.parametrize(
    "change", [pytest.param("data", id="T25 other data"), pytest.param("code", id="T25 other code")]
)
def test_other_data_or_code_make_another_key(
    change: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data / "raw", tmp_path / "raw")
    monkeypatch.setattr("retune.training.run_key.code_files", lambda: [tmp_path / "x.py"])
    (tmp_path / "x.py").write_text("one")
    key = run_key({"seed": 1}, tmp_path / "raw")
    assert key == run_key({"seed": 1}, tmp_path / "raw")
    if change == "data":
        (tmp_path / "raw" / "train.jsonl").write_text("")
        seal(tmp_path / "raw", {})
    else:
        (tmp_path / "x.py").write_text("two")
    assert key != run_key({"seed": 1}, tmp_path / "raw")


@pytest.mark.parametrize(
    "files", [pytest.param(["optimizer.pt"], id="T07 weights without the optimizer")]
)
def test_weights_alone_are_not_gone_on_from(
    files: list[str], data: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, str]]
) -> None:
    train_killed(data, tmp_path, (3, *STEP), **CASES["dropout"])
    (newest,) = tmp_path.glob("checkpoints/*/checkpoint-2")
    for file in files:
        (newest / file).unlink()
    assert outputs(run(data, tmp_path, resumable=True, **CASES["dropout"])) == unbroken("dropout")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(28, "No space left on device"), id="T12 the system says so"),
        pytest.param(RuntimeError("unexpected pos 7 vs 0"), id="T12 torch says so"),
        pytest.param(SafetensorError("I/O error: No space left"), id="T12 safetensors says so"),
    ],
)
def test_a_full_disk_leaves_the_checkpoint_before(
    error: Exception,
    data: Path,
    tmp_path: Path,
    unbroken: Callable[[str], dict[str, str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = JointTrainer._save_scaler

    def fill(self: JointTrainer, folder: str) -> None:
        if self.state.global_step == 3:
            raise error
        original(self, folder)

    with monkeypatch.context() as patch, pytest.raises(RetuneError) as raised:
        patch.setattr(JointTrainer, "_save_scaler", fill)
        run(data, tmp_path, resumable=True, **CASES["dropout"])
    assert "cannot write the checkpoint of step 3" in str(raised.value)
    assert "MB are free there. Make room and run again" in str(raised.value)
    assert [path.name for path in tmp_path.glob("checkpoints/*/*")] == ["checkpoint-2"]
    capsys.readouterr()
    assert outputs(run(data, tmp_path, resumable=True, **CASES["dropout"])) == unbroken("dropout")
    assert "resuming from step 2" in capsys.readouterr().err


@pytest.mark.parametrize("file", [pytest.param("metrics.json", id="T02 killed in DVCLive's log")])
def test_a_torn_log_does_not_hinder(
    file: str, data: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, str]]
) -> None:
    train_killed(data, tmp_path, (3, *STEP), **CASES["dropout"])
    (tmp_path / "logs/dvclive" / file).write_text('{"step": ')
    assert outputs(run(data, tmp_path, resumable=True, **CASES["dropout"])) == unbroken("dropout")


@pytest.mark.parametrize("how", [pytest.param("cut", id="T04 the last one of all is cut")])
def test_an_older_checkpoint_is_not_taken_for_the_end(
    how: str,
    data: Path,
    tmp_path: Path,
    unbroken: Callable[[str], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script_scores(monkeypatch, [50, 10, 20])  # so that an older one is kept, too
    case = CASES["dropout"]
    expected = outputs(run(data, tmp_path / "unbroken", **case))
    original = Checkpoints.keep

    def damaged(self: Checkpoints, *steps: int | None) -> None:
        original(self, *steps)
        if 12 in steps:
            damage(self[12] / "optimizer.pt", how)

    with (
        monkeypatch.context() as patch,
        pytest.raises(RetuneError, match="the last checkpoint is damaged"),
    ):
        patch.setattr(Checkpoints, "keep", damaged)
        run(data, tmp_path / "killed", resumable=True, **case)
    assert not (tmp_path / "killed/model").exists()
    assert outputs(run(data, tmp_path / "killed", resumable=True, **case)) == expected


@pytest.mark.parametrize("age", [pytest.param(1e6, id="T18 the clock was set back")])
def test_the_newest_is_the_one_of_the_last_step(age: float, data: Path, tmp_path: Path) -> None:
    train_killed(data, tmp_path, (6, *STEP), **CASES["dropout"])
    (folder,) = (tmp_path / "checkpoints").iterdir()
    checkpoints = Checkpoints(folder.parent, folder.name)
    before = checkpoints[5].stat().st_mtime - age
    os.utime(checkpoints[5], (before, before))
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.path == checkpoints[5]
    checkpoints.keep(5)
    assert list(folder.iterdir()) == [checkpoints[5]]


@pytest.mark.parametrize("seconds", ["often", "-1", "nan", ""])
def test_the_seconds_between_checkpoints_must_be_seconds(
    seconds: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", seconds)
    with pytest.raises(RetuneError, match=r"RETUNE_CHECKPOINT_SECONDS is .*; expected seconds"):
        run(data, tmp_path)
