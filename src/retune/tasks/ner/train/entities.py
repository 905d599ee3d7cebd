"""Stage `entities`: an adapter that finds named entities, alone or on a language's adapter.

Every word gets a tag (Tjong Kim Sang & De Meulder 2003, CoNLL). The epoch with the best F1 of whole
entities is kept. The adapter's bundle includes its head.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForTokenClassification

from retune.adapters import bundles
from retune.adapters.adapter_reuse import adapter_params, insert_on
from retune.adapters.layers import AdapterParams
from retune.core.errors import RetuneError
from retune.core.files import write_json
from retune.core.params import STRICT, Positive
from retune.core.plain_files import require_unchanged, summed
from retune.core.terminal_text import say
from retune.fetch.data_files import File, file_source
from retune.fetch.fetching import Source
from retune.models.batches import Batch, batches
from retune.models.encoders import encoder_config, load_encoder
from retune.models.losses import label_count, loss_sum, mean_loss
from retune.models.precision import evaluating
from retune.models.pretrained_files import PretrainedParams, load_tokenizer, resolve
from retune.processes.share import Share
from retune.tasks.ner.texts.conll import (
    Sentence,
    check_types,
    entity_types,
    read_sentences,
    repetitions,
)
from retune.tasks.ner.texts.word_pieces import Part, WordReader, rectangle
from retune.tasks.ner.train.entity_f1 import EntityScores, entity_scores
from retune.training.arguments import OptimizationParams
from retune.training.fit import Results, Scores, build_seeded, fit
from retune.training.trainer import TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "entities"


def _as_list(named: Any) -> Any:
    if not isinstance(named, str):
        return named
    if "://" in named:
        raise ValueError("a URL needs its sum: write `- {path: URL, sha256: ...}`")
    return [File(named, None)]


Files = Annotated[list[File], BeforeValidator(_as_list), Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class EntitiesParams(OptimizationParams):
    """Section `adapters.entities`.

    `train` and `validation` are CoNLL files. Each is the name of a file in `folder`, which is a dep
    of the stage, or a list of such files and of URLs with their SHA-256. Sentences of more than
    `max_length` tokens are cut between words. `dropout` replaces every dropout probability of the
    encoder; null keeps its own.
    """

    section: ClassVar[str] = "adapters.entities"

    folder: str
    train: Files
    validation: Files
    max_length: Positive
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    adapter: AdapterParams


def train_entities(
    results: Results,
    metrics: Path,
    *,
    params: EntitiesParams,
    base: PretrainedParams,
    language: Path | None,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Train the adapter `entities`, stacked on that of the bundle `language` if there is one.

    With `settings`, a killed training resumes from its last checkpoint. They, the files and the
    sealed folder `language` must be all that the result depends on.

    Raises:
        RetuneError: the files cannot be used, or adapters and encoder do not fit.
    """
    folder, splits = Path(params.folder), (params.train, params.validation)
    sources = [_sources(folder, files) for files in splits]
    train, validation = map(_sentences, sources)
    check_types(train, validation)
    tags = ["O", *(f"{prefix}-{kind}" for kind in entity_types(train) for prefix in "BI")]
    pretrained = resolve(base, "qa.checkpoint")
    tokenizer = load_tokenizer(pretrained)
    setting = "adapters.entities.max_length"
    make = partial(build, params, pretrained, language, tags)
    model = build_seeded(make, seed, tokenizer, params.max_length, setting)
    labels = {tag: number for number, tag in enumerate(tags)}
    readers = [WordReader(tokenizer, params.max_length, labels) for _ in splits]
    parts, evaluated = (
        reader.read(split) for reader, split in zip(readers, (train, validation), strict=True)
    )
    collate = partial(
        rectangle, pad_token_id=int(tokenizer.pad_token_id), max_length=params.max_length
    )
    evaluation = Tagging(model, validation, evaluated, tags, collate, params)
    task = TrainingTask(
        model, tokenizer, rows=parts, lengths=[len(part.input_ids) for part in parts],
        collate=lambda rows, _epoch: collate(rows), loss=part_loss,
        count=lambda batch: label_count(batch["labels"]), evaluate=evaluation.figures,
        unit="sentence_parts", best_metric="f1", padded=True,
    )  # fmt: skip

    counts = [_counts(split, reader) for split, reader in
              zip((train, validation), readers, strict=True)]  # fmt: skip
    details: dict[str, Any] = dict(zip(("train", "validation"), counts, strict=True))
    details |= repetitions(train, validation)
    if settings is not None:
        settings = {**settings, "files": [s.sha256 for split in sources for s in split]}
    return fit(
        task, results, params, seed, settings, reads=[language] if language else [],
        publish=partial(bundles.publish, base=base), weights_key="bundle_bytes",
        conclude=partial(_conclude, results.model, metrics, evaluation, details),
    )  # fmt: skip


def _conclude(
    bundle: Path,
    metrics: Path,
    evaluation: "Tagging",
    details: Mapping[str, Any],
    _before: Scores,
    _best: Scores,
) -> str:
    """Score the published adapter, write the metrics, and return the scores in words."""
    evaluation.model.load_state_dict(load_file(bundle / bundles.FILE), strict=False)
    loss, scores = evaluation(Share())
    write_json(metrics, _report(loss, scores, details))
    for split in ("train", "validation"):
        for place in details[split]["places_without_pieces"][:1]:
            say(f"{place}: the tokenizer keeps nothing of it; read as unknown")
    overall = scores.overall
    return f"precision {overall.precision:.2f}, recall {overall.recall:.2f}, F1 {overall.f1:.2f}"


def _counts(sentences: Sequence[Sentence], reader: WordReader) -> dict[str, Any]:
    words = sum(len(sentence.tokens) for sentence in sentences)
    return {"sentences": len(sentences), "words": words} | reader.summary()


def _sources(folder: Path, files: Sequence[File]) -> list[Source]:
    remedy = "give a CoNLL file of sentences"
    return [file_source(folder, file, EntitiesParams.section, remedy) for file in files]


def _sentences(sources: Sequence[Source]) -> list[Sentence]:
    """Read the sentences of a split's files, and check that the files did not change."""
    states = summed(source.path for source in sources)
    sentences = [found for source in sources for found in read_sentences(source.path)]
    require_unchanged(states)
    return sentences


def build(
    params: EntitiesParams, pretrained: Path, language: Path | None, tags: Sequence[str]
) -> "PreTrainedModel":
    """The frozen encoder with a fresh adapter and a head from H to the tags."""
    labels = {"id2label": dict(enumerate(tags)), "label2id": {t: n for n, t in enumerate(tags)}}
    config = encoder_config(pretrained, params.dropout, **labels)
    model = load_encoder(AutoModelForTokenClassification, pretrained, config)
    stored = adapter_params(language) if language else None
    if stored and len(stored.composition) > 1:
        raise RetuneError(
            f"{language}: its adapter {stored.name} is stacked on another one; give the bundle "
            "of a single language adapter"
        )
    insert_on(model, language, NAME, params.adapter, base=pretrained)
    return model


def part_loss(model: nn.Module, inputs: Batch, joint: Tensor) -> Tensor:
    """What the words of a part of a joint batch add to the mean."""
    labels = inputs["labels"].flatten()
    return mean_loss(tag_logits(model, inputs).flatten(0, 1), labels, joint)


def tag_logits(model: nn.Module, batch: Batch) -> Tensor:
    """The logits (B, T, C) of a batch."""
    output: Any = model(batch["input_ids"], attention_mask=batch["attention_mask"])
    return output.logits  # type: ignore[no-any-return]


class Tagging:
    """Loss and entity scores of a model on the validation sentences."""

    def __init__(
        self,
        model: "PreTrainedModel",
        sentences: Sequence[Sentence],
        parts: Sequence[Part],
        tags: Sequence[str],
        collate: Callable[[Sequence[Part]], Batch],
        params: EntitiesParams,
    ) -> None:
        self.model, self.sentences, self.parts = model, sentences, parts
        self.tags, self.collate, self.params = tags, collate, params

    def figures(self, share: Share) -> dict[str, float]:
        """Return `loss`, and `precision`, `recall` and `f1` in percent, the same everywhere."""
        return _headline(*self(share))

    def __call__(self, share: Share) -> tuple[float, EntityScores]:
        """The mean loss of a word, and the scores; each process computes its share of the parts."""
        run = share.run_of(len(self.parts))
        found, loss = self._predicted([self.parts[number] for number in run])
        words = sum(len(sentence.tokens) for sentence in self.sentences)
        predicted: list[list[str]] = [[] for _ in self.sentences]
        labels = (labels for process in share.gathered(found) for labels in process)
        for part, numbers in zip(self.parts, labels, strict=True):
            predicted[part.sentence] += [self.tags[number] for number in numbers]
        references = (sentence.tags for sentence in self.sentences)
        scores = entity_scores(zip(references, predicted, strict=True))
        return sum(share.gathered(loss)) / words, scores

    def _predicted(self, parts: Sequence[Part]) -> tuple[list[list[int]], float]:
        """The labels of the words of each part, and the sum of the losses."""
        found: list[list[int]] = [[] for _ in parts]
        total = 0.0
        order = sorted(range(len(parts)), key=lambda n: len(parts[n].input_ids), reverse=True)
        size = self.params.eval_batch_size

        def collate(rows: Sequence[int]) -> Batch:
            return self.collate([parts[row] for row in rows])

        with evaluating(self.model, self.params.precision) as device:
            for rows, batch in batches(order, size, collate, device):
                logits = tag_logits(self.model, batch)
                total += loss_sum(logits.flatten(0, 1), batch["labels"].flatten()).item()
                best = logits.argmax(-1).cpu()
                for row, labels in zip(rows, best, strict=True):
                    found[row] = labels[torch.tensor(parts[row].firsts)].tolist()
        return found, total


def _report(loss: float, scores: EntityScores, details: Mapping[str, Any]) -> dict[str, Any]:
    by_type = [{"type": name, **score._asdict()} for name, score in sorted(scores.by_type.items())]
    counted = {"support": scores.overall.support, **details}
    figures = _headline(loss, scores) | {"types": by_type, "details": [counted]}
    return {"adapters": {NAME: figures}}


def _headline(loss: float, scores: EntityScores) -> dict[str, float]:
    figures = scores.overall._asdict()
    del figures["support"]
    return {"loss": loss, **figures}
