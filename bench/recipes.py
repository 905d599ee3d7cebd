"""Ways to train one model on the same windows: the notebooks', `Trainer`'s best, retune's."""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from bench.windows import pretrained_folder
from retune.core.memory import keep_freed_memory
from retune.models.batches import Batch
from retune.models.dropout import Dropout, use_fast_dropout
from retune.models.precision import resolved_precision
from retune.models.pretrained_files import load_tokenizer
from retune.tasks.qa.predict.batches import Collator, real_tokens, span_logits
from retune.tasks.qa.predict.reader import accepts_token_types
from retune.tasks.qa.train.cropping import Cropper, PlacedRows
from retune.tasks.qa.train.evaluation import batch_loss

if TYPE_CHECKING:
    from datasets import Dataset


Precision = Literal["auto", "fp32"]


@dataclass(frozen=True)
class Recipe:
    """What a training step is made of; the defaults are retune's."""

    windows: Literal["fixed", "longest", "packed"] = "packed"
    fast_dropout: bool = True
    optimizer: str = "adamw_torch_fused"
    precision: Precision = "auto"
    grouped: bool = False  # retune groups where a model cannot read packed windows
    keep_memory: bool = True
    crop: float = 0.0  # chance that a window is cropped around its answer


RETUNE = Recipe()
#: transformers' `Trainer` with every speed option that it has.
TRAINER = Recipe("longest", fast_dropout=False, grouped=True, keep_memory=False)
#: The notebooks: float32, padded to 384, plain AdamW.
NOTEBOOK = Recipe("fixed", False, "adamw_torch", "fp32", keep_memory=False)
#: retune's recipe with padded windows: batches of similar length, as `group_by_length: auto` makes
#: them for such models, and any windows, as `Trainer` draws them by default.
PADDED = {
    "padded, grouped by length": Recipe("longest", grouped=True),
    "padded": Recipe("longest"),
}
#: retune's recipe without one ingredient.
ABLATIONS = {
    "without packing (padded, grouped by length)": Recipe("longest", grouped=True),
    "without cheap dropout": Recipe(fast_dropout=False),
    "without fused AdamW": Recipe(optimizer="adamw_torch"),
    "without keeping freed memory": Recipe(keep_memory=False),
}


def measured(
    build: Callable[[], nn.Module],
    rows: "Dataset",
    recipe: Recipe,
    batch_size: int,
    steps: int,
    *,
    tokens: bool = False,
) -> float:
    """Return windows a second over `steps` steps of training, after two steps of warm-up.

    `build` creates a new model, because `Trainer` changes the precision of the one it trained.
    With `tokens`, return tokens a second, without padding: a few batches of similar length are
    not as long as others.
    """
    model = build()
    set_memory(keep=recipe.keep_memory)
    set_dropout(model, fast=recipe.fast_dropout)
    watch = _Watch()
    with TemporaryDirectory() as folder, collator_of(model, recipe) as collator:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=batch_size,
            max_steps=steps + watch.skip,
            learning_rate=1e-5,
            optim=recipe.optimizer,
            bf16=resolved_precision(recipe.precision) == "bf16",
            train_sampling_strategy="group_by_length" if _grouped(recipe, collator) else "random",
            length_column_name="length",
            remove_unused_columns=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = _SpanTrainer(
            model,
            arguments,
            data_collator=_cropped(collator, recipe.crop) if recipe.crop else collator,
            train_dataset=PlacedRows(rows) if recipe.crop else rows,
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    done = sum(trainer.tokens[watch.skip :]) if tokens else batch_size * steps
    return done / watch.seconds


def _grouped(recipe: Recipe, collator: Collator) -> bool:
    return recipe.grouped or (recipe.windows == "packed" and not collator.packed)


def _cropped(collator: Collator, chance: float) -> Callable[[list[Any]], Batch]:
    crop = Cropper(chance, seed=1)
    return lambda windows: collator(crop(windows, epoch=1))


class _SpanTrainer(Trainer):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.tokens: list[int] = []  # of each step, without padding

    def compute_loss(self, model: nn.Module, inputs: Batch, *_: Any, **__: Any) -> Tensor:
        self.tokens.append(int(real_tokens(inputs).sum()))
        return batch_loss(*span_logits(model, inputs), inputs)


class _Watch(TrainerCallback):
    """Seconds from the end of the first `skip` steps on."""

    skip = 2
    seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.skip:
            self._begin = time.perf_counter()
        elif state.global_step > self.skip:
            self.seconds = time.perf_counter() - self._begin


@contextmanager
def collator_of(model: nn.Module, recipe: Recipe) -> Iterator[Collator]:
    """The recipe's collator, with the attention that belongs to it."""
    if recipe.windows != "packed":
        step = 384 if recipe.windows == "fixed" else 1
        types = not isinstance(model, PreTrainedModel) or accepts_token_types(model)
        yield Collator(0, pad_left=False, token_types=types, length_step=step)
        return
    before = model.config._attn_implementation
    tokenizer = load_tokenizer(pretrained_folder())
    yield Collator.for_model(model, tokenizer, resolved_precision(recipe.precision))
    if model.config._attn_implementation != before:
        model.set_attn_implementation(before)


def set_dropout(model: nn.Module, *, fast: bool) -> None:
    if fast:
        use_fast_dropout(model)
        return
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is Dropout:
                setattr(module, name, nn.Dropout(child.p))


def set_memory(*, keep: bool) -> None:
    if keep:
        keep_freed_memory()
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc's own defaults
        for name, value in ((-4, 65536), (-3, 128 * 1024), (-1, 128 * 1024)):
            mallopt(name, value)
