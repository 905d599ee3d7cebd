"""What the training of every task shares: settings, progress, curves and costs."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from tqdm import tqdm
from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations.integration_utils import DVCLiveCallback

from retune.errors import RetuneError
from retune.params import STRICT, Fraction, LearningRate, Positive
from retune.precision import Precision, resolved_precision
from retune.storage import atomic_path

_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "datasets", "numpy")


@dataclass(frozen=True, config=STRICT)
class OptimizationParams:
    """How a model is trained, whatever the task.

    AdamW (Loshchilov & Hutter 2019) with weight decay on neither biases nor norms, linear
    warm-up over `warmup_ratio` of the steps, then linear decay to 0, and gradients clipped
    at `max_grad_norm` (0: not). The checkpoint of the best epoch is kept; training stops after
    `patience` epochs without a better one (null: never). `precision` "auto" is bf16 where
    the hardware multiplies it natively, else fp32.
    """

    lr: LearningRate
    epochs: Positive
    batch_size: Positive
    gradient_accumulation: Positive
    warmup_ratio: Annotated[float, Field(ge=0.0, lt=1.0)]
    weight_decay: Fraction
    max_grad_norm: Annotated[float, Field(ge=0.0)]
    patience: Positive | None
    group_by_length: Literal["auto"] | bool
    precision: Precision
    eval_batch_size: Positive
    log_every: Positive


def training_arguments(
    params: OptimizationParams, seed: int, work: Path, logs: Path, *, best_metric: str, padded: bool
) -> TrainingArguments:
    """The `Trainer` arguments for `params`; checkpoints go to `work`.

    The best checkpoint is the one with the highest `best_metric` of an evaluation. `padded`
    tells whether the model pays for padding; then "auto" makes batches of similar length.
    """
    precision = resolved_precision(params.precision)
    grouped = _grouped(params, padded=padded)
    # TensorBoard's folder can only be named by the environment in transformers 5.
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(logs / "tensorboard")
    return TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=params.batch_size,
        per_device_eval_batch_size=params.eval_batch_size,
        gradient_accumulation_steps=params.gradient_accumulation,
        num_train_epochs=params.epochs,
        learning_rate=params.lr,
        lr_scheduler_type="linear",
        warmup_steps=params.warmup_ratio,
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        train_sampling_strategy="group_by_length" if grouped else "random",
        length_column_name="length",
        remove_unused_columns=False,
        eval_strategy="epoch",
        save_strategy="best",
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=True,
        metric_for_best_model=best_metric,
        greater_is_better=True,
        logging_strategy="steps",
        logging_steps=params.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        report_to=["tensorboard"],
        seed=seed,
        data_seed=seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
    )


def training_callbacks(params: OptimizationParams, logs: Path, curves: "Curves") -> list[Any]:
    """Progress, curves, DVCLive's log, and early stopping where `params` asks for it."""
    from dvclive.live import Live

    # DVCLive left alone writes a dvc.yaml at the top and makes experiments of its own.
    live = Live(dir=str(logs / "dvclive"), dvcyaml=None, save_dvc_exp=False, report=None)
    callbacks = [Progress(), curves, DVCLiveCallback(live=live)]
    if params.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=params.patience))
    return callbacks


class Progress(TrainerCallback):
    """A bar over the steps, and a line for each evaluation."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Open the bar."""
        self._bar = tqdm(total=state.max_steps, desc="train", unit=" steps", dynamic_ncols=True)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Move the bar to the current step."""
        self._bar.update(state.global_step - self._bar.n)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **event: Any,
    ) -> None:
        """Print the evaluation's figures."""
        figures = "  ".join(f"{name} {value:.4g}" for name, value in _scores(event["metrics"]))
        self._bar.write(f"epoch {state.epoch:.0f}/{args.num_train_epochs}  {figures}", sys.stderr)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Close the bar."""
        self._bar.close()


class Curves(TrainerCallback):
    """Collects the curves of a run, for `dvc plots`."""

    def __init__(self) -> None:
        self.train: list[dict[str, float]] = []
        self.validation: list[dict[str, float]] = []

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **event: Any,
    ) -> None:
        """Keep a row of the training or of the validation curve."""
        logs = event["logs"]
        row = {"step": state.global_step, "epoch": state.epoch or 0.0}
        if "loss" in logs:
            self.train.append(row | {name: logs[name] for name in ("loss", "learning_rate")})
        elif "eval_loss" in logs:
            self.validation.append(row | dict(_scores(logs)))

    def write(self, folder: Path) -> None:
        """Write `train.csv` and `validation.csv` into `folder`."""
        for name, rows in [("train", self.train), ("validation", self.validation)]:
            with atomic_path(folder / f"{name}.csv") as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")


class Stopwatch:
    """Seconds of training, evaluations left out."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begin = clock()
        self._paused = 0.0

    def pause(self) -> None:
        """Stop counting."""
        self._pause = self._clock()

    def go_on(self) -> None:
        """Count again."""
        self._paused += self._clock() - self._pause

    @property
    def seconds(self) -> float:
        """Seconds since the start, less the pauses."""
        return self._clock() - self._begin - self._paused


def environment(precision: str) -> list[str]:
    """What a measured time depends on: libraries, processor, threads, precision."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    libraries = [f"{name} {version(name)}" for name in _LIBRARIES]
    return [device, f"{torch.get_num_threads()} threads", precision, *libraries]


def require_finite(model: torch.nn.Module) -> None:
    """Refuse a model with a weight that is not a number."""
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise RetuneError(
                f"weight {name} is not finite after training; lower qa.train.lr and try again"
            )


def _grouped(params: OptimizationParams, *, padded: bool) -> bool:
    return padded if params.group_by_length == "auto" else params.group_by_length


def _scores(logs: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The figures of an evaluation, without Trainer's prefix."""
    for name, value in logs.items():
        if name.startswith("eval_"):
            yield name.removeprefix("eval_"), value


def _processor() -> str:
    name = torch.cpu.get_capabilities().get("cpu_name") or "unknown processor"
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
