"""Stage `language`: an adapter for a language, by masked language modelling (MAD-X).

The encoder is frozen, as is the head, so that the adapter learns the language for those who stack
theirs on it (Pfeiffer et al. 2020). Weights of the head that the checkpoint lacks are trained with
the adapter: at random they would say nothing, and an adapter would learn to serve noise.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from retune.adapters.bundles import AdapterParts, insert
from retune.adapters.layers import AdapterParams
from retune.core.blocks import Blocks
from retune.core.errors import RetuneError, listed
from retune.core.files import sha256, write_json
from retune.core.params import STRICT, Positive
from retune.core.user_files import file_inside
from retune.models.batches import Batch
from retune.models.checkpoints import CheckpointParams, resolve
from retune.models.encoders import encoder_config, load_encoder_and_missing
from retune.models.losses import NO_LABEL, label_count, loss_sum, mean_loss
from retune.models.precision import evaluating
from retune.tasks.masked_lm.train.masked_blocks import (
    EVALUATION,
    Masker,
    of_no_block,
    pack,
    read_texts,
)
from retune.tasks.qa.questions.examples import read_examples
from retune.training.arguments import OptimizationParams
from retune.training.distributed import Share
from retune.training.frozen import Results, publish, tokenizer_of
from retune.training.seeding import seed_everything
from retune.training.trainer import JointTrainer, Setup

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "language"
# Beyond this an exponential is no number any more; a model that untrained says nothing.
_LARGEST_LOSS = 700.0


@dataclass(frozen=True, config=STRICT)
class LanguageParams(OptimizationParams):
    """Section `adapters.language`.

    The texts are the contexts of the questions and the plain text `files` in `folder`, a text a
    line, which is a dep of the stage. They are packed into blocks of `block_size` tokens, of which
    the share `masked` is to be predicted. `dropout` replaces every dropout probability of the
    encoder; null keeps its own.
    """

    section: ClassVar[str] = "adapters.language"

    folder: str
    files: list[str]
    block_size: Positive
    masked: Annotated[float, Field(gt=0.0, lt=1.0)]
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    adapter: AdapterParams


def train_language(
    raw: Path,
    results: Results,
    metrics: Path,
    *,
    params: LanguageParams,
    base: CheckpointParams,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Train the adapter `language` on the contexts of `raw` and the files of `params`.

    With `settings`, which are all that the result depends on besides the files and the sealed
    folder `raw`, a training that was killed goes on from its last checkpoint.

    Raises:
        RetuneError: the texts are not as they must be, or checkpoint and adapter do not fit.
    """
    folder = Path(params.folder)
    files = [file_inside(folder, name, params.section) for name in params.files]
    train, validation = _contexts(raw, "train"), _contexts(raw, "validation")
    known = set(train := list(dict.fromkeys([*train, *(t for f in files for t in read_texts(f))])))
    checkpoint = resolve(base, "qa.checkpoint")
    seed_everything(seed)  # before building: the adapter is drawn at random
    model, trained_head = build(params, checkpoint)
    setting = "adapters.language.block_size"
    tokenizer = tokenizer_of(model, checkpoint, params.block_size, setting)
    blocks, evaluated = (pack(texts, tokenizer, params.block_size) for texts in (train, validation))
    masker = Masker(tokenizer, params.masked, seed)
    if settings is not None:
        settings = {**settings, "files": [sha256(file) for file in files]}
    setup = Setup.of(
        params, seed, results.bundle, settings, [raw], best_metric="loss", padded=False
    )
    evaluation = Guessing(model, evaluated, masker, params)
    trainer = MaskTrainer(model, blocks, masker, of_no_block(tokenizer), evaluation, setup)
    before = trainer.score()
    end = trainer.train_to_the_end(setup.begun)
    if not setup.arguments.should_save:
        return ""  # the first process writes for all
    curves, figures = publish(
        results, trainer, setup, end, base=base, tokenizer=tokenizer, unit="blocks"
    )
    best = min(curves.validation, key=lambda row: row["loss"])
    details = {
        "loss_before": before["loss"],
        "perplexity_before": before["perplexity"],
        "trained_head": trained_head,
        "validation_texts_in_train": sum(text in known for text in validation),
        "train": _counts(train, blocks),
        "validation": _counts(validation, evaluated) | {"masked_tokens": evaluation.tokens},
    }
    headline = {name: best[name] for name in ("loss", "perplexity")}
    write_json(metrics, {"adapters": {NAME: {**headline, "details": [details]}}})
    setup.checkpoints.remove()
    head = "; the checkpoint has no such head: one was trained too" if trained_head else ""
    return (
        f"best epoch {best['epoch']:.0f}: perplexity {best['perplexity']:.2f}, before "
        f"{before['perplexity']:.2f}{head}; {figures['train_blocks_per_second']:.1f} blocks/s"
    )


def build(params: LanguageParams, checkpoint: Path) -> tuple["PreTrainedModel", list[str]]:
    """The frozen encoder and its head with a fresh adapter, and which of its head is trained.

    Raises:
        RetuneError: the head needs more than what can be trained with an adapter.
    """
    config = encoder_config(checkpoint, params.dropout)
    model, missing = load_encoder_and_missing(AutoModelForMaskedLM, checkpoint, config)
    insert(model, AdapterParts({NAME: params.adapter}, [NAME]))
    prefix = f"{model.base_model_prefix}."
    head = {n: w for n, w in model.named_parameters() if not n.startswith(prefix)}
    for name, weight in head.items():
        weight.requires_grad_(name in missing)
    output = [name for name in missing if name.endswith("decoder.weight")]
    if output:
        raise RetuneError(
            f"{checkpoint} has no output layer over the vocabulary ("
            f"{listed(output)}), and its config.json does not tie it to the embeddings; choose a "
            "checkpoint that was trained by masked language modelling"
        )
    return model, sorted(name for name, weight in head.items() if weight.requires_grad)


class MaskTrainer(JointTrainer):
    """`Trainer` with the mean loss of a joint batch's masked tokens."""

    def __init__(
        self,
        model: "PreTrainedModel",
        blocks: Blocks,
        masker: Masker,
        nothing: tuple[Tensor, Tensor],
        evaluation: "Guessing",
        setup: Setup,
    ) -> None:
        count, size = blocks.ids.shape
        super().__init__(model, range(count), [size] * count, self._masked, evaluation, setup)
        self._blocks, self._masker, self._nothing = blocks.ids, masker, nothing

    def _masked(self, numbers: Sequence[int]) -> Batch:
        """A batch of blocks, masked otherwise in each epoch."""
        if not numbers:
            return dict(zip(("input_ids", "labels"), self._nothing, strict=True))
        numbers = list(numbers)
        inputs, labels = self._masker.mask(self._blocks[numbers], self.batches.epoch, numbers)
        return {"input_ids": inputs, "labels": labels}

    def loss_share(self, model: nn.Module, inputs: Batch, joint: Tensor) -> Tensor:
        """What the masked tokens of a part of a joint batch add to the mean."""
        return mean_loss(*guesses(self.inner, model, inputs), joint)

    def counts(self, inputs: Batch) -> Tensor:
        """Count the masked tokens of a part of a joint batch."""
        return label_count(inputs["labels"])


class Guessing:
    """Loss and perplexity of a model on the validation blocks, masked alike each time."""

    def __init__(
        self, model: "PreTrainedModel", blocks: Blocks, masker: Masker, params: LanguageParams
    ) -> None:
        self.model, self.params = model, params
        self._inputs, self._labels = masker.mask(blocks.ids, EVALUATION, range(len(blocks.ids)))
        self.tokens = int((self._labels != NO_LABEL).sum())
        if self.tokens == 0:
            raise RetuneError(
                "adapters.language.masked: no token of the validation blocks is masked; raise it, "
                "or lower block_size"
            )

    def __call__(self, share: Share) -> dict[str, float]:
        """`loss` and `perplexity`, the same in every process; each computes its share."""
        run, size = share.run_of(len(self._inputs)), self.params.eval_batch_size
        total = 0.0
        with evaluating(self.model, self.params.precision) as device:
            for begin in range(run.start, run.stop, size):
                rows = slice(begin, min(begin + size, run.stop))
                batch = {"input_ids": self._inputs[rows], "labels": self._labels[rows]}
                batch = {name: value.to(device) for name, value in batch.items()}
                total += loss_sum(*guesses(self.model, self.model, batch)).item()
        loss = sum(share.gathered(total)) / self.tokens
        return {"loss": loss, "perplexity": math.exp(min(loss, _LARGEST_LOSS))}


def guesses(model: "PreTrainedModel", wrapped: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits (M, V) and labels (M,) of the M masked tokens of a batch.

    Those of the other tokens, which nobody asks for, would cost more than the encoder.
    `wrapped` is what calls `model`.
    """
    asked = batch["labels"] != NO_LABEL
    asked[0, 0] |= ~asked.any()  # of nothing there would be no gradient
    with _asking(model, asked):
        output: Any = wrapped(input_ids=batch["input_ids"])
    return output.logits, batch["labels"][asked]


@contextmanager
def _asking(model: "PreTrainedModel", asked: Tensor) -> Iterator[None]:
    """Let the head of `model` see only the tokens that are `asked` (B, T) for."""
    head: Any = model.cls if hasattr(model, "cls") else model.lm_head
    handle = head.register_forward_pre_hook(partial(_chosen, asked))
    try:
        yield
    finally:
        handle.remove()


def _chosen(asked: Tensor, _head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (inputs[0][asked],)


def _contexts(raw: Path, split: str) -> list[str]:
    return list(dict.fromkeys(example.context for example in read_examples(raw / f"{split}.jsonl")))


def _counts(texts: Sequence[str], blocks: Blocks) -> dict[str, int]:
    count, size = blocks.ids.shape
    return {
        "texts": len(texts),
        "blocks": count,
        "block_tokens": count * size,
        "tokens_left_over": blocks.remainder,
    }
