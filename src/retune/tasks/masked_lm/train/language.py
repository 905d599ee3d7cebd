"""Stage `language`: an adapter for a language, by masked language modelling (MAD-X).

The encoder and its head are frozen, so that the adapter learns the language for other adapters to
be stacked on it (Pfeiffer et al. 2020). Weights of the head that the encoder lacks are trained
with the adapter: left at random, they would make it learn noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from retune.adapters import bundles
from retune.adapters.bundles import AdapterParts, insert
from retune.adapters.layers import AdapterParams
from retune.core.blocks import Blocks
from retune.core.errors import RetuneError, listed
from retune.core.files import sha256, write_json
from retune.core.params import STRICT, Positive
from retune.core.user_files import file_inside
from retune.models.batches import Batch, batches
from retune.models.encoders import encoder_config, load_encoder_and_missing
from retune.models.losses import NO_LABEL, label_count, loss_sum, mean_loss, perplexity
from retune.models.precision import evaluating
from retune.models.pretrained_files import PretrainedParams, load_tokenizer, resolve
from retune.processes.share import Share
from retune.tasks.masked_lm.train.masked_blocks import (
    EVALUATION,
    Masker,
    of_no_block,
    pack,
    read_texts,
)
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.questions.splits import splits_in
from retune.training.arguments import OptimizationParams
from retune.training.fit import Results, Scores, build_seeded, fit
from retune.training.trainer import TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "language"


@dataclass(frozen=True, config=STRICT)
class LanguageParams(OptimizationParams):
    """Section `adapters.language`.

    The texts are the contexts of the questions, and the lines of the plain text `files` in
    `folder`, which is a dep of the stage. They are packed into blocks of `block_size` tokens, and
    the share `masked` of the tokens is predicted. `dropout` replaces every dropout probability of
    the encoder; null keeps its own.
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
    base: PretrainedParams,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Train the adapter `language` on the contexts of `raw` and the files of `params`.

    With `settings`, a killed training resumes from its last checkpoint. They, the files and the
    sealed folder `raw` must be all that the result depends on.

    Raises:
        RetuneError: the texts cannot be used, or the adapter does not fit the encoder.
    """
    folder = Path(params.folder)
    files = [file_inside(folder, name, params.section) for name in params.files]
    train, validation = _contexts(raw, "train"), _contexts(raw, "validation")
    known = set(train := list(dict.fromkeys([*train, *(t for f in files for t in read_texts(f))])))
    pretrained = resolve(base, "qa.checkpoint")
    tokenizer = load_tokenizer(pretrained)
    setting = "adapters.language.block_size"
    make = partial(build, params, pretrained)
    model = build_seeded(make, seed, tokenizer, params.block_size, setting)
    blocks, evaluated = (pack(texts, tokenizer, params.block_size) for texts in (train, validation))
    masker = Masker(tokenizer, params.masked, seed)
    evaluation = Guessing(model, evaluated, masker, params)
    count, size = blocks.ids.shape
    task = TrainingTask(
        model, tokenizer, rows=range(count), lengths=[size] * count, unit="blocks",
        collate=partial(masked_batch, masker, blocks, of_no_block(tokenizer)),
        loss=lambda wrapped, inputs, joint: mean_loss(*guesses(model, wrapped, inputs), joint),
        count=lambda inputs: label_count(inputs["labels"]),
        evaluate=evaluation, best_metric="loss", padded=False,
    )  # fmt: skip
    details = {
        "trained_head": trained_head(model),
        "validation_texts_in_train": sum(text in known for text in validation),
        "train": _counts(train, blocks),
        "validation": _counts(validation, evaluated) | {"masked_tokens": evaluation.tokens},
    }
    if settings is not None:
        settings = {**settings, "files": [sha256(file) for file in files]}
    return fit(
        task, results, params, seed, settings, reads=[raw], score_first=True,
        publish=partial(bundles.publish, base=base), weights_key="bundle_bytes",
        conclude=partial(_conclude, metrics, details),
    )  # fmt: skip


def build(params: LanguageParams, pretrained: Path) -> "PreTrainedModel":
    """The frozen encoder and its head with a fresh adapter.

    Raises:
        RetuneError: the head lacks weights that cannot be trained with an adapter.
    """
    config = encoder_config(pretrained, params.dropout)
    model, missing = load_encoder_and_missing(AutoModelForMaskedLM, pretrained, config)
    insert(model, AdapterParts({NAME: params.adapter}, [NAME]))
    for name, weight in _head(model):
        weight.requires_grad_(name in missing)
    output = [name for name in missing if name.endswith("decoder.weight")]
    if output:
        raise RetuneError(
            f"{pretrained} has no output layer over the vocabulary ("
            f"{listed(output)}), and its config.json does not tie it to the embeddings; choose an "
            "encoder that was trained by masked language modelling"
        )
    return model


def trained_head(model: "PreTrainedModel") -> list[str]:
    """The names of the head's weights that are trained with the adapter."""
    return sorted(name for name, weight in _head(model) if weight.requires_grad)


def _head(model: "PreTrainedModel") -> Iterator[tuple[str, nn.Parameter]]:
    prefix = f"{model.base_model_prefix}."
    return ((name, w) for name, w in model.named_parameters() if not name.startswith(prefix))


def masked_batch(
    masker: Masker,
    blocks: Blocks,
    nothing: tuple[Tensor, Tensor],
    numbers: Sequence[int],
    epoch: int,
) -> Batch:
    """A batch of blocks, with other masks in each epoch; of no blocks, `nothing`."""
    numbers = list(numbers)
    pair = masker.mask(blocks.ids[numbers], epoch, numbers) if numbers else nothing
    return dict(zip(("input_ids", "labels"), pair, strict=True))


class Guessing:
    """Loss and perplexity of a model on the validation blocks, with the same masks each time."""

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
        """Return `loss` and `perplexity`, the same in every process; each computes its share."""
        run, size = share.run_of(len(self._inputs)), self.params.eval_batch_size
        total = 0.0
        with evaluating(self.model, self.params.precision) as device:
            for _, batch in batches(run, size, self._batch, device):
                total += loss_sum(*guesses(self.model, self.model, batch)).item()
        loss = sum(share.gathered(total)) / self.tokens
        return {"loss": loss, "perplexity": perplexity(loss)}

    def _batch(self, numbers: range) -> Batch:
        rows = slice(numbers.start, numbers.stop)
        return {"input_ids": self._inputs[rows], "labels": self._labels[rows]}


def guesses(model: "PreTrainedModel", wrapped: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits (M, V) and labels (M,) of the M masked tokens of a batch.

    The head skips the other tokens, which would cost more than the encoder. `wrapped` calls
    `model`.
    """
    asked = batch["labels"] != NO_LABEL
    asked[0, 0] |= ~asked.any()  # without any token there would be no gradient
    with _asking(model, asked):
        output: Any = wrapped(input_ids=batch["input_ids"])
    return output.logits, batch["labels"][asked]


@contextmanager
def _asking(model: "PreTrainedModel", asked: Tensor) -> Iterator[None]:
    """Give the head of `model` only the tokens where `asked` (B, T) is true."""
    head: Any = model.cls if hasattr(model, "cls") else model.lm_head
    handle = head.register_forward_pre_hook(partial(_chosen, asked))
    try:
        yield
    finally:
        handle.remove()


def _chosen(asked: Tensor, _head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (inputs[0][asked],)


def _contexts(raw: Path, split: str) -> list[str]:
    """Return the texts of a split.

    Raises:
        RetuneError: there is no such split, by which the epoch of an adapter is chosen.
    """
    if split not in splits_in(raw):
        raise RetuneError(
            f"{raw}: no {split} split, which chooses the epoch of the language adapter: set "
            "qa.download.validation_share (such as 0.1), or name files in "
            "qa.datasets.files.validation"
        )
    return list(dict.fromkeys(example.context for example in read_examples(raw / f"{split}.jsonl")))


def _counts(texts: Sequence[str], blocks: Blocks) -> dict[str, int]:
    count, size = blocks.ids.shape
    return {
        "texts": len(texts),
        "blocks": count,
        "block_tokens": count * size,
        "tokens_left_over": blocks.remainder,
    }


def _conclude(metrics: Path, details: Mapping[str, Any], before: Scores, best: Scores) -> str:
    """Write the metrics; return the scores in words."""
    names = ("loss", "perplexity")
    compared = {f"{name}_before": before[name] for name in names}
    figures = {name: best[name] for name in names} | {"details": [{**compared, **details}]}
    write_json(metrics, {"adapters": {NAME: figures}})
    head = (
        "; the encoder has no such head, so one was trained too" if details["trained_head"] else ""
    )
    return f"perplexity {best['perplexity']:.2f}, before {before['perplexity']:.2f}{head}"
