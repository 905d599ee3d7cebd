"""Settings, callbacks, curves and environment of a training."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import pandas as pd
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import EarlyStoppingCallback, TrainingArguments
from transformers.integrations.integration_utils import DVCLiveCallback

from retune.core.errors import RetuneError
from retune.core.files import atomic_path
from retune.core.params import STRICT, Fraction, LearningRate, Positive
from retune.models.precision import Precision, chosen_precision, resolved_precision
from retune.training.progress import Progress, evaluation_scores

_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "datasets", "numpy")
#: Of the curve of a training that is not evaluated.
_HEADING = ["step", "epoch", "loss"]
#: Variables by which libraries choose other kernels, which round otherwise.
KERNEL_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
)


@dataclass(frozen=True, config=STRICT)
class OptimizationParams:
    """The optimization of a model in any task.

    The optimizer is AdamW (Loshchilov & Hutter 2019), without weight decay on biases and norms. The
    learning rate warms up linearly over `warmup_ratio` of the steps, then decays linearly to 0.
    Gradients are clipped at `max_grad_norm` (0: not clipped). The checkpoint of the best epoch is
    kept, unless a task says otherwise; training stops after `patience` epochs without a better one
    (null: never). `precision` "auto" is bf16 if the hardware multiplies it natively, else fp32.
    """

    #: The section in params.yaml, for messages.
    section: ClassVar[str]

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


def cannot_use(setting: str, value: float, why: str, remedy: str) -> RetuneError:
    """The error of a `setting` (a dotted name) whose `value` must be 0 here."""
    name = setting.rpartition(".")[2]
    return RetuneError(
        f"{setting} is {value} (in params.yaml or by the variant), but {why}; set {name} to 0, or "
        f"{remedy}"
    )


def training_arguments(
    params: OptimizationParams,
    seed: int,
    work: Path,
    logs: Path,
    *,
    best_metric: str | None,
    padded: bool,
    evaluated: bool = True,
) -> TrainingArguments:
    """The `Trainer` arguments for `params`; checkpoints go to `work`.

    The best checkpoint has the highest `best_metric` of an evaluation or the lowest "loss". Without
    a metric it is the last. With `padded` batches, `group_by_length` "auto" groups rows of similar
    length. The processes of a launch (`retune.processes.launch`) connect here; they share out each
    batch.

    Raises:
        RetuneError: fp16 on a CPU, or a batch that the processes cannot share evenly.
    """
    precision = resolved_precision(params.precision)
    if precision == "fp16" and not torch.cuda.is_available():
        raise RetuneError(
            f"{params.section}.precision is fp16, which needs gradient scaling and so a GPU; on "
            "a CPU choose auto, bf16 or fp32"
        )
    grouped = _grouped(params, padded=padded)
    # Otherwise a launch would choose the precision where params.yaml says fp32.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no" if precision == "fp32" else precision
    # TensorBoard's folder can only be named by the environment in transformers 5.
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(logs / "tensorboard")
    arguments = TrainingArguments(
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
        remove_unused_columns=False,
        eval_strategy="epoch" if evaluated else "no",
        save_strategy="epoch",  # and as `CheckpointRhythm` asks
        restore_callback_states_from_checkpoint=True,  # the count of early stopping
        metric_for_best_model=best_metric,
        greater_is_better=best_metric != "loss",
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
        ddp_find_unused_parameters=True,  # such as an encoder's pooler
    )
    arguments.per_device_train_batch_size = _even_share(params, arguments.world_size)
    return arguments


def training_callbacks(
    params: OptimizationParams, arguments: TrainingArguments, logs: Path
) -> list[Any]:
    """Early stopping, if `params` ask for it; in the first process also bar and logs."""
    from dvclive.live import Live

    class LocalLive(Live):
        """DVCLive without Studio, for which it reads params.yaml and all curves at each row."""

        def post_data_to_studio(self) -> None:
            """Send nothing."""

    callbacks: list[Any] = []
    if params.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=params.patience))
    if arguments.should_log:
        # By default DVCLive writes a dvc.yaml at the top and makes its own experiments. It does not
        # resume the log of a killed run, which may be torn.
        live = LocalLive(dir=str(logs / "dvclive"), dvcyaml=None, save_dvc_exp=False, report=None)
        precision = chosen_precision(params.precision, f"{params.section}.precision")
        callbacks += [Progress(precision), DVCLiveCallback(live=live)]
    return callbacks


class Curves(NamedTuple):
    """The curves of a training, row by row, for `dvc plots`."""

    train: list[dict[str, float]]
    validation: list[dict[str, float]]

    @classmethod
    def of(cls, log: Sequence[Mapping[str, float]]) -> "Curves":
        """The curves in the log of `Trainer` (`TrainerState.log_history`)."""
        train, validation = [], []
        for entry in log:
            row = {"step": entry["step"], "epoch": entry["epoch"]}
            if "loss" in entry:
                train.append(row | {name: entry[name] for name in ("loss", "learning_rate")})
            elif "eval_loss" in entry:
                validation.append(row | dict(evaluation_scores(entry)))
        return cls(train, validation)

    def write(self, folder: Path) -> None:
        """Write `train.csv` and `validation.csv` into `folder`."""
        for name, rows in [("train", self.train), ("validation", self.validation)]:
            with atomic_path(folder / f"{name}.csv") as temporary:
                table = pd.DataFrame(rows, columns=None if rows else _HEADING)
                table.to_csv(temporary, index=False, lineterminator="\n")


class Stopwatch:
    """Measures seconds of training without evaluations, in addition to `before`."""

    def __init__(self, before: float = 0.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begin = clock() - before
        self._paused = 0.0

    def pause(self) -> None:
        """Stop counting."""
        self._pause = self._clock()

    def resume(self) -> None:
        """Count again."""
        self._paused += self._clock() - self._pause

    @property
    def seconds(self) -> float:
        """Seconds since the start without the pauses."""
        return self._clock() - self._begin - self._paused


def environment(precision: str, processes: int) -> list[str]:
    """The processor, processes, threads of a process, precision, libraries and kernel variables.

    Bytes and times depend on them.
    """
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    libraries = [f"{name} {version(name)}" for name in _LIBRARIES]
    workers = f"{processes} {'process' if processes == 1 else 'processes'}"
    kernels = [f"{name}={os.environ[name]}" for name in KERNEL_VARIABLES if name in os.environ]
    threads = f"{torch.get_num_threads()} threads"
    return [device, workers, threads, precision, *libraries, *kernels]


def distributed_launch(arguments: TrainingArguments) -> dict[str, str]:
    """How processes share a training; the form and the bytes of a checkpoint depend on it."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("ACCELERATE_")}
    return settings | {"type": str(arguments.distributed_state.distributed_type)}


def require_finite(weights: Mapping[str, torch.Tensor], section: str) -> None:
    """Check trained weights.

    Raises:
        RetuneError: one is not finite; lower the learning rate in `section`.
    """
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise RetuneError(
                f"weight {name} is not finite after training; lower {section}.lr and try again"
            )


def _even_share(params: OptimizationParams, processes: int) -> int:
    if params.batch_size % processes:
        raise RetuneError(
            f"{params.section}.batch_size is {params.batch_size}, which {processes} processes "
            f"cannot share evenly; choose a multiple of {processes}, or another number of processes"
        )
    return params.batch_size // processes


def _grouped(params: OptimizationParams, *, padded: bool) -> bool:
    return padded if params.group_by_length == "auto" else params.group_by_length


def _processor() -> str:
    name = torch.cpu.get_capabilities().get("cpu_name") or "unknown processor"
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
