"""Training and bad numbers, places and machines; resuming has a file of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file
from training_runs import outputs, run, write_features

from retune.core.artifacts import sealed
from retune.core.errors import RetuneError
from retune.core.files import locked, sha256
from retune.tasks.qa.models import bert, bilstm_attention, lstm, transformer
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.train.evaluation import Evaluation
from retune.training.resume import ResumableTrainer
from retune.training.trainer import JointTrainer

ROOT = Path(__file__).resolve().parents[2]
NAN = float("nan")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("data"))


def spoiled_loss(*_: Any) -> torch.Tensor:
    return torch.tensor(NAN)


def spoiled_gradient(self: JointTrainer, model: torch.nn.Module, *rest: Any) -> torch.Tensor:
    loss = ResumableTrainer.training_step(self, model, *rest)
    next(model.parameters()).grad.fill_(NAN)  # type: ignore[union-attr]
    return loss


def spoiled_save(weight: float) -> Callable[..., None]:
    def save(self: JointTrainer, *rest: Any) -> None:
        with torch.no_grad():
            self.model.get_parameter("qa_outputs.bias").fill_(weight)
        ResumableTrainer._save_checkpoint(self, *rest)

    return save


@pytest.mark.parametrize(
    ("place", "spoiled", "said"),
    [
        pytest.param(
            "tasks.qa.train.evaluation.span_loss",
            spoiled_loss,
            r"the loss is nan at step 1 \(learning rate .*\); lower qa.train.lr",
            id="T05 the loss is no number",
        ),
        pytest.param(
            "training.trainer.JointTrainer.training_step",
            spoiled_gradient,
            r"the loss is nan at step 2 \(learning rate .*\); lower qa.train.lr",
            id="T05 a gradient is no number",
        ),
        pytest.param(
            "training.trainer.JointTrainer._save_checkpoint",
            spoiled_save(NAN),
            r"weight qa_outputs.bias is not finite after training; lower qa.train.lr",
            id="T05 a weight is no number",
        ),
        pytest.param(
            "training.trainer.JointTrainer._save_checkpoint",
            spoiled_save(float("inf")),
            r"weight qa_outputs.bias is not finite after training; lower qa.train.lr",
            id="T05 a weight is infinite",
        ),
    ],
)
def test_a_number_that_is_none_stops_the_run_and_publishes_nothing(
    place: str,
    spoiled: Any,
    said: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"retune.{place}", spoiled)
    with pytest.raises(RetuneError, match=said):
        run(data, tmp_path, epochs=1)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("noise", [pytest.param(100, id="T10 evaluation draws random numbers")])
def test_evaluation_does_not_change_the_training(
    noise: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(data, tmp_path / "plain")
    original = Evaluation.__call__

    def noisy(self: Evaluation, *arguments: Any) -> dict[str, float]:
        torch.rand(noise), np.random.rand(noise)
        return original(self, *arguments)

    monkeypatch.setattr(Evaluation, "__call__", noisy)
    assert outputs(run(data, tmp_path / "noisy")) == outputs(plain)


@pytest.mark.parametrize("draws", [pytest.param(7, id="T11 something drew before the model")])
def test_a_new_head_is_drawn_after_seeding(draws: int, data: Path, tmp_path: Path) -> None:
    one = run(data, tmp_path / "one", epochs=1) / "model/model.safetensors"
    torch.rand(draws)
    two = run(data, tmp_path / "two", epochs=1) / "model/model.safetensors"
    assert sha256(one) == sha256(two)


@pytest.mark.parametrize("place", [pytest.param("a file", id="T13 nothing can be written there")])
def test_a_place_that_takes_no_files_is_refused_before_the_work(place: str, tmp_path: Path) -> None:
    (tmp_path / place).write_text("")
    writes = {"model": tmp_path / place / "model"}
    reports = [tmp_path / place / "costs.json"]
    for stage in (
        sealed({}, reads={}, writes=writes),
        sealed({}, reads={}, writes={}, reports=reports),
    ):
        with pytest.raises(RetuneError, match=f"{place}: cannot write there: "), stage:
            pytest.fail("the work began")


@pytest.mark.parametrize("name", [pytest.param("model", id="T14 two trainings into one folder")])
def test_a_second_stage_names_the_first(name: str, tmp_path: Path) -> None:
    said = rf"\.{name}\.lock: process {os.getpid()} on .* is writing there"
    second = sealed({}, reads={}, writes={name: tmp_path / name})
    with locked(tmp_path / f".{name}.lock"), pytest.raises(RetuneError, match=said), second:
        pytest.fail("the work began")
    (tmp_path / name).mkdir()
    with sealed({}, reads={}, writes={name: tmp_path / name}):
        pass  # the first one is over
    assert sorted(os.listdir(tmp_path)) == [name]


#: A stage that says that it runs, and would never end.
WAIT = """
import time
from retune.core.process_end import prepare_to_end
from retune.core.user_errors import guarded
prepare_to_end()
guarded(lambda: (print(flush=True), time.sleep(600)), "x")
"""


@pytest.mark.parametrize(
    ("stop", "stage_too"),
    [
        pytest.param(signal.SIGKILL, False, id="T15 dvc is killed"),
        pytest.param(signal.SIGTERM, False, id="T15 dvc is told to end"),
        pytest.param(signal.SIGTERM, True, id="T16 the stage is told to end"),
    ],
)
def test_a_stage_ends_at_once(stop: signal.Signals, stage_too: bool) -> None:
    parent = (
        "import subprocess, sys; stage = subprocess.Popen([sys.executable, '-c', sys.argv[1]]); "
        "print(stage.pid, flush=True); sys.exit(stage.wait())"
    )
    dvc = subprocess.Popen(
        [sys.executable, "-c", parent, WAIT],
        env=os.environ | {"DVC_STAGE": "train", "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert dvc.stdout is not None
    stage = int(dvc.stdout.readline())
    dvc.stdout.readline()  # the stage is at work
    os.kill(stage if stage_too else dvc.pid, stop)
    # The end of the pipe is the end of all who hold it: the stage, too.
    assert dvc.stdout.read() == ""
    assert dvc.wait() == (256 - stop if stage_too else -stop)


@pytest.mark.parametrize("batch", [pytest.param(4, id="T17 the GPU's memory runs out")])
def test_memory_that_ran_out_is_a_sentence(
    batch: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(JointTrainer, "compute_loss", fill)
    with pytest.raises(RetuneError, match=r"memory ran out in step 1, with .*x.* tokens; lower "):
        run(data, tmp_path, batch_size=batch)


SMALL: dict[str, Any] = {
    "lstm": lstm.Params(embedding_size=8, hidden_size=8),
    "transformer": transformer.Params(
        embedding_size=8, attention_heads=2, feed_forward_size=16, dropout=0.1
    ),
}


@pytest.mark.parametrize(
    ("variant", "head"),
    [
        pytest.param(bert, "qa_outputs", id="T21 the head of bert"),
        pytest.param(lstm, "output", id="T21 the head of lstm"),
        pytest.param(transformer, "output", id="T21 the head of transformer"),
    ],
)
def test_a_head_is_trained_and_kept(
    variant: ModuleType, head: str, data: Path, tmp_path: Path
) -> None:
    name = variant.__name__.rpartition(".")[2]
    settings = SMALL.get(name, bert.Params(dropout=0.0))
    torch.manual_seed(1)
    fresh = variant.build(settings, data / "encoder", len(tiny.vocabulary()), 0)
    run(data, tmp_path, variant=variant, model=settings, epochs=1)
    kept = load(name, tmp_path / "model")
    weights = load_file(tmp_path / "model/model.safetensors")
    assert torch.equal(kept.get_parameter(f"{head}.weight"), weights[f"{head}.weight"])
    assert not torch.equal(
        kept.get_parameter(f"{head}.weight"), fresh.get_parameter(f"{head}.weight")
    )


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(partial(lstm.build, SMALL["lstm"]), id="T22 lstm"),
        pytest.param(
            partial(
                bilstm_attention.build,
                bilstm_attention.Params(
                    embedding_size=8, hidden_size=8, dropout=0.0,
                    pretrained_embeddings=False, freeze_embeddings=False,
                ),
            ),
            id="T22 bilstm_attention",
        ),
    ],
)  # fmt: skip
def test_logits_are_as_wide_as_the_batch(variant: Any, data: Path) -> None:
    model = variant(data / "encoder", len(tiny.vocabulary()), 0).eval()
    ids = torch.randint(5, 20, (3, 9))
    mask = torch.tensor([[1] * 5 + [0] * 4, [1] * 1 + [0] * 8, [1] * 7 + [0] * 2])
    with torch.no_grad():
        output = model(input_ids=ids * mask, attention_mask=mask, token_type_ids=0 * ids)
    assert output.start_logits.shape == output.end_logits.shape == (3, 9)


@pytest.mark.parametrize("precision", [pytest.param("fp16", id="T24 a GPU's precision, no GPU")])
def test_what_needs_a_gpu_is_refused_without(
    precision: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RetuneError, match=r"precision is fp16, .* on a CPU choose auto"):
        run(data, tmp_path, precision=precision)
