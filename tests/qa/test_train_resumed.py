"""A training that was killed goes on to the bytes that it would have had."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_runs import run, write_features

from retune.errors import RetuneError
from retune.qa.evaluation import Evaluation
from retune.qa.models import bilstm_attention, transformer_encoder
from retune.qa.train import SpanTrainer
from retune.resuming import Checkpoints, run_key
from retune.storage import sha256


class Killed(BaseException):
    """The end of a process, which nothing catches."""


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
}  # fmt: skip


def outputs(folder: Path) -> dict[str, str]:
    """The sums of all that a training publishes but the times."""
    files = [*folder.glob("model/*"), *folder.glob("curves/*"), folder / "costs.json"]
    return {file.name: sha256(file) for file in files}


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


def kill_at(call: int, owner: type, method: str) -> Any:
    """Patch `method` so that its `call`-th call, from 1, kills."""
    original, calls = getattr(owner, method), 0

    def killing(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return original(self, *arguments, **options)

    patch = pytest.MonkeyPatch()
    patch.setattr(owner, method, killing)
    return patch


def train_killed(data: Path, folder: Path, kill: tuple[int, type, str], **case: Any) -> None:
    patch = kill_at(*kill)
    try:
        with pytest.raises(Killed):
            run(data, folder, resumable=True, **case)
    finally:
        patch.undo()


STEP, SAVE = (SpanTrainer, "training_step"), (SpanTrainer, "_save_rng_state")


@pytest.mark.parametrize(
    ("case", "step"),
    [*(("dropout", step) for step in (1, 4, 5, 12)), *((case, 3) for case in CASES)],
)
def test_killed_in_a_step(
    case: str, step: int, data: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, str]]
) -> None:
    train_killed(data, tmp_path, (step, *STEP), **CASES[case])
    assert outputs(run(data, tmp_path, resumable=True, **CASES[case])) == unbroken(case)
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("kill", "goes_on_from"),
    [
        ((1, *SAVE), None),
        ((3, *SAVE), 2),
        ((4, *SAVE), 3),
        ((1, Evaluation, "__call__"), 3),
        ((2, Evaluation, "__call__"), 7),
        ((3, SpanTrainer, "_save_state"), 2),
        ((1, Checkpoints, "remove"), 12),
    ],
)
def test_killed_elsewhere(
    kill: tuple[int, type, str],
    goes_on_from: int | None,
    data: Path,
    tmp_path: Path,
    unbroken: Callable[[str], dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_killed(data, tmp_path, kill, **CASES["dropout"])
    capsys.readouterr()
    assert outputs(run(data, tmp_path, resumable=True, **CASES["dropout"])) == unbroken("dropout")
    said = capsys.readouterr().err
    if goes_on_from is None:
        assert "going on from" not in said
    else:
        assert f"going on from step {goes_on_from}\n" in said


def test_killed_again_and_again(
    data: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, str]]
) -> None:
    for _ in range(5):  # each time two steps further
        train_killed(data, tmp_path, (3, *STEP), **CASES["dropout"])
    assert outputs(run(data, tmp_path, resumable=True, **CASES["dropout"])) == unbroken("dropout")


def script_scores(monkeypatch: pytest.MonkeyPatch, f1s: list[float]) -> None:
    """Let the evaluation after epoch n report the n-th F1, in whichever process it is."""

    def score(trainer: SpanTrainer) -> dict[str, float]:
        return {"loss": 1.0, "exact_match": 0.0, "f1": f1s[round(trainer.state.epoch or 0) - 1]}

    original = SpanTrainer.evaluate

    def evaluate(self: SpanTrainer, *arguments: Any, **options: Any) -> dict[str, float]:
        self.score = lambda: score(self)  # type: ignore[assignment]
        return original(self, *arguments, **options)

    monkeypatch.setattr(SpanTrainer, "evaluate", evaluate)


@pytest.mark.parametrize(
    "kill",
    [(6, *STEP), (8, *STEP), (1, Checkpoints, "remove"), (8, *SAVE)],
)
def test_early_stopping_counts_across_a_kill(
    kill: tuple[int, type, str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_scores(monkeypatch, [10, 50, 20, 40, 90, 99])  # stops after the fourth epoch
    case: dict[str, Any] = {"epochs": 6, "patience": 2}
    expected = outputs(run(data, tmp_path / "unbroken", **case))
    train_killed(data, tmp_path / "killed", kill, **case)
    assert outputs(run(data, tmp_path / "killed", resumable=True, **case)) == expected


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


@pytest.mark.parametrize("how", ["missing", "cut", "flipped"])
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


def test_a_training_with_other_settings_does_not_go_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_killed(data, tmp_path, (6, *STEP), **CASES["dropout"])
    case = CASES["dropout"] | {"lr": 1e-3}
    capsys.readouterr()
    other = outputs(run(data, tmp_path, resumable=True, **case))
    assert "going on" not in capsys.readouterr().err
    assert other == outputs(run(data, tmp_path / "alone", **case))
    run(data, tmp_path, resumable=True, **CASES["dropout"])  # the first one still can
    assert "going on from step 5" in capsys.readouterr().err


def test_other_settings_data_or_code_make_another_key(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, features = data / "raw", data / "features"
    key = run_key({"seed": 1}, raw, features)
    assert key == run_key({"seed": 1}, raw, features)
    monkeypatch.setattr("retune.resuming._CODE", tmp_path)
    (tmp_path / "x.py").write_text("one")
    keys = {key, run_key({"seed": 1}, raw, features)}
    (tmp_path / "x.py").write_text("two")
    keys |= {run_key({"seed": 1}, raw, features), run_key({"seed": 2}, raw, features)}
    keys |= {run_key({"seed": 1}, features, features)}
    assert len(keys) == 5


@pytest.mark.parametrize("seconds", ["often", "-1", "nan", ""])
def test_the_seconds_between_checkpoints_must_be_seconds(
    seconds: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", seconds)
    with pytest.raises(RetuneError, match=r"RETUNE_CHECKPOINT_SECONDS is .*; expected seconds"):
        run(data, tmp_path)
