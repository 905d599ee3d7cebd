"""Trainings on a frozen encoder that cannot be: rows B14 to B16."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
from adapter_runs import run_entities, run_language, write_data
from bundle_runs import LANGUAGE, PFEIFFER, made, stored
from training_runs import FROZEN, run, write_features

from retune.adapters.bundles import AdapterParts
from retune.core.errors import RetuneError
from retune.training.trainer import JointTrainer


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


@pytest.mark.parametrize("family", [case("B14 of BERT", "bert"), case("B14 of RoBERTa", "roberta")])
def test_an_output_layer_that_is_neither_there_nor_tied_is_refused(
    family: str, tmp_path: Path
) -> None:
    data = write_data(tmp_path / "data", family=family)
    tiny.write_checkpoint(data / "encoder", family, tie_word_embeddings=False)
    with pytest.raises(
        RetuneError,
        match=r"encoder has no output layer over the vocabulary \(\w[\w.]+decoder\.weight\), and "
        r"its config\.json does not tie it to the embeddings; choose an encoder",
    ):
        run_language(data, tmp_path / "run", block_size=32)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("stage", [case("B15 entities on a stack", run_entities)])
def test_an_adapter_on_a_stack_is_refused(stage: Any, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    below = AdapterParts({"language": LANGUAGE, "qa": PFEIFFER}, ["language", "qa"])
    stack = stored(made(data / "encoder", below), data / "encoder", tmp_path / "stack")
    with pytest.raises(RetuneError, match=r"its adapter qa is stacked on another one; give"):
        stage(data, tmp_path / "run", language=stack)


ZERO_3 = r"RETUNE_LAUNCH: ZeRO-3 .* configs/launch/zero2\.yaml"


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("stage", [2, 3])
def test_zero_3_is_told_by_the_plugin(enabled: bool, stage: int) -> None:
    plugin = SimpleNamespace(deepspeed_plugin=SimpleNamespace(zero_stage=stage))
    trainer: Any = SimpleNamespace(is_deepspeed_enabled=enabled, accelerator=plugin)
    assert JointTrainer._weights_are_shared_out(trainer) == (enabled and stage == 3)


@pytest.mark.parametrize("train", [case("B16 entities", run_entities),
                                   case("B16 language", run_language)])  # fmt: skip
def test_zero_3_is_refused_for_adapters(
    train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_data(tmp_path / "data")
    monkeypatch.setattr(JointTrainer, "_weights_are_shared_out", lambda _: True)
    with pytest.raises(RetuneError, match=ZERO_3):
        train(data, tmp_path / "run")
    assert not (tmp_path / "run" / "bundle").exists()


@pytest.mark.parametrize("name", [case(f"B16 question answering, {n}", n) for n in FROZEN])
def test_zero_3_is_refused_for_a_frozen_encoder_and_not_for_another(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_features(tmp_path / "data")
    monkeypatch.setattr(JointTrainer, "_weights_are_shared_out", lambda _: True)
    with pytest.raises(RetuneError, match=ZERO_3):
        run(data, tmp_path / "run", **FROZEN[name])
    assert not (tmp_path / "run" / "model").exists()
    run(data, tmp_path / "plain", epochs=1)
