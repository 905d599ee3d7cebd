"""Trainer's arguments: precision on GPUs, shares of a batch, DeepSpeed's files."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
import yaml
from training_runs import settings
from transformers import TrainingArguments
from transformers.integrations import deepspeed

from retune.core.errors import RetuneError
from retune.training import arguments as module

ROOT = Path(__file__).resolve().parent.parent
STAGES = {"zero2": 2, "zero3": 3}


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    return module.training_arguments(
        settings(**changes), 1, folder / "work", folder / "logs", best_metric="f1", padded=True
    )


def test_fp16_on_a_cpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RetuneError, match=r"precision is fp16, .* a GPU; on a CPU choose auto"):
        arguments(tmp_path, precision="fp16")


@pytest.mark.parametrize("precision", ["fp16", "bf16", "fp32"])
def test_on_a_gpu_the_trainer_is_told_the_precision(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")  # of a launch: params.yaml decides
    with patch.object(module, "TrainingArguments") as made:
        made.return_value.world_size = 1
        arguments(tmp_path, precision=precision)
    options = made.call_args.kwargs
    assert (options["fp16"], options["bf16"]) == (precision == "fp16", precision == "bf16")
    assert not options["use_cpu"]
    assert options["dataloader_pin_memory"]
    given = module.os.environ["ACCELERATE_MIXED_PRECISION"]
    assert given == ("no" if precision == "fp32" else precision)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_batch_is_that_of_all_processes(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingArguments, "world_size", processes)
    assert arguments(tmp_path, batch_size=8).per_device_train_batch_size * processes == 8


def test_a_batch_that_processes_cannot_share_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingArguments, "world_size", 3)
    with pytest.raises(RetuneError, match=r"batch_size is 8, which 3 processes .* multiple of 3"):
        arguments(tmp_path, batch_size=8)


class Filled(deepspeed.HfTrainerDeepSpeedConfig):
    """transformers' own filling of a DeepSpeed file, without DeepSpeed."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config, self.mismatches = config, []

    def find_config_node(self, key: str) -> tuple[dict[str, Any] | None, str]:
        *sections, last = key.split(".")
        node: dict[str, Any] | None = self.config
        for section in sections:
            node = node.get(section) if node else None
        return node, last

    def get_value(self, key: str, default: Any = None) -> Any:
        node, last = self.find_config_node(key)
        return default if node is None else node.get(last, default)

    def is_true(self, key: str) -> bool:
        return bool(self.get_value(key))


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / f"configs/deepspeed/{name}.json").read_text())
    return content


@pytest.mark.parametrize("name", STAGES)
def test_deepspeed_takes_every_open_value_from_the_params(name: str, tmp_path: Path) -> None:
    filled = Filled(read(name))
    chosen = arguments(tmp_path, batch_size=8, gradient_accumulation=2, max_grad_norm=0.5)
    filled.trainer_config_process(chosen)
    filled.fill_only("zero_optimization.reduce_bucket_size", 0)
    assert filled.mismatches == []
    assert "auto" not in json.dumps(filled.config)
    assert filled.config["train_batch_size"] == 16
    assert filled.config["train_micro_batch_size_per_gpu"] == 8
    assert filled.config["gradient_accumulation_steps"] == 2
    assert filled.config["gradient_clipping"] == 0.5
    assert filled.config["zero_optimization"]["stage"] == STAGES[name]
    assert not {"optimizer", "scheduler"} & set(filled.config)  # they are Trainer's


def test_the_deepspeed_files_differ_in_the_stage_alone() -> None:
    two, three = (read(name) for name in STAGES)
    zero = two.pop("zero_optimization"), three.pop("zero_optimization")
    assert two == three
    assert zero[1]["stage3_gather_16bit_weights_on_model_save"]  # else no model is written
    shared = zero[0].keys() & zero[1].keys() - {"stage"}
    assert {key: zero[0][key] for key in shared} == {key: zero[1][key] for key in shared}


@pytest.mark.parametrize("path", sorted((ROOT / "configs/launch").iterdir()), ids=lambda p: p.stem)
def test_accelerate_reads_the_files_of_a_launch(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(path))
    assert config.num_processes == 2
    assert config.mixed_precision is None  # params.yaml decides
    content = yaml.safe_load(path.read_text())
    deepspeed_file = content.get("deepspeed_config", {}).get("deepspeed_config_file")
    assert deepspeed_file is None or (ROOT / deepspeed_file).is_file()
