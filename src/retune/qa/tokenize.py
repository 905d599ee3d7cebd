"""Stage `tokenize`: questions and contexts to windows of token ids, with an audit.

The windows serve every model that shares the tokenizer. Train windows carry the tokens
of the first reference answer, or the CLS position where the window does not hold all of
it; evaluation windows carry that too (for the validation loss), and the characters of
each token.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from retune.errors import RetuneError
from retune.params import STRICT, NotNegative, Positive
from retune.qa.audit import Audit
from retune.qa.examples import Example, read_examples
from retune.qa.features import Window, WindowWriter, window_writer
from retune.qa.score import ScoreParams
from retune.qa.windows import Template, Tokens, covering_span, trim_offsets, window_bounds
from retune.storage import atomic_path, write_json

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from transformers import PreTrainedTokenizerFast

_BATCH = 1000  # examples tokenized at a time: bounds memory, changes no output
SPLITS = ("train", "validation")


@dataclass(frozen=True, config=STRICT)
class TokenizeParams:
    """Section `qa.tokenize`. All lengths are in tokens.

    `doc_stride` is the overlap of neighbouring windows, as in BERT's SQuAD code, not the
    distance between their starts. Questions are cut to `max_question_length`. `windows`:
    "all", or "first" to truncate long contexts instead.
    """

    max_length: Positive
    doc_stride: NotNegative
    max_question_length: Positive
    windows: Literal["all", "first"]


def tokenize(
    raw: Path,
    features: Path,
    metrics: Path,
    *,
    tokenizer: "PreTrainedTokenizerFast",
    params: TokenizeParams,
    scoring: ScoreParams,
    squad_v2: bool,
) -> str:
    """Write `features` (a folder: an Arrow file a split, the tokenizer) and the audit.

    Raises:
        RetuneError: where the windows that `params` asks for cannot exist, or a split is
            empty.
    """
    windower = Windower(tokenizer, params)
    audits = []
    with atomic_path(features) as folder:
        folder.mkdir(parents=True)
        tokenizer.save_pretrained(folder / "tokenizer")
        for split in SPLITS:
            audit = Audit(split, scoring if split == "validation" else None, squad_v2=squad_v2)
            with window_writer(folder / f"{split}.arrow") as writer:
                _write_split(raw / f"{split}.jsonl", writer, windower, audit)
            audits.append(audit)
        for audit in audits:
            audit.write_notes(folder / f"{audit.split}_notes.jsonl")
    validation = audits[-1].summary()
    headline = {"ceiling_f1": validation["ceiling_f1"]}
    write_json(metrics, {"qa": {**headline, "windows": [audit.summary() for audit in audits]}})
    return "; ".join(audit.sentence() for audit in audits)


def _write_split(path: Path, writer: WindowWriter, windower: "Windower", audit: Audit) -> None:
    examples = tqdm(read_examples(path), desc=f"tokenize {audit.split}", unit=" questions")
    row = 0
    for batch in _batches(examples):
        rows = []
        for cut in windower.cut(batch, first_row=row):
            audit.add(cut.example, cut.windows, cut.question_cut)
            rows += cut.windows
        writer.write(rows)
        row += len(batch)
    if row == 0:
        raise RetuneError(f"{path}: no questions; the download stage left this split empty")


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    examples = iter(examples)
    return iter(lambda: list(itertools.islice(examples, _BATCH)), [])


@plain_dataclass(frozen=True, slots=True)
class CutExample:
    """The windows of one question."""

    example: Example
    windows: list[Window]
    question_cut: int  # question tokens that were cut off


class Windower:
    """Cuts examples into windows with one tokenizer and one set of lengths."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", params: TokenizeParams) -> None:
        self.params = params
        self._backend: Tokenizer = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self.template = _template(tokenizer)
        _check_capacity(params, self.template.specials, tokenizer.model_max_length)

    def cut(self, examples: list[Example], first_row: int) -> Iterator[CutExample]:
        """Cut each example; the first has row `first_row` in its split."""
        contexts = list(dict.fromkeys(example.context for example in examples))
        by_text = dict(zip(contexts, self._tokens(contexts), strict=True))
        questions = self._tokens([example.question.lstrip() for example in examples])
        for row, (example, question) in enumerate(zip(examples, questions, strict=True), first_row):
            limit = self.params.max_question_length
            windows = self._windows(row, example, question.ids[:limit], by_text[example.context])
            yield CutExample(example, windows, max(len(question.ids) - limit, 0))

    def _windows(
        self, row: int, example: Example, question: np.ndarray, context: Tokens
    ) -> list[Window]:
        capacity = self.params.max_length - self.template.specials - len(question)
        bounds = window_bounds(len(context.ids), capacity, self.params.doc_stride)
        if self.params.windows == "first":
            bounds = bounds[:1]
        answer = example.answers[0] if example.answers else None
        span = covering_span(context, answer.start, answer.end) if answer else None
        return [self._window(row, question, context, low, high, span) for low, high in bounds]

    def _window(
        self,
        row: int,
        question: np.ndarray,
        context: Tokens,
        low: int,
        high: int,
        span: tuple[int, int] | None,
    ) -> Window:
        template = self.template
        offset = len(template.before) + len(question) + len(template.between)
        size = offset + high - low + len(template.after)
        char_start, char_end = np.zeros((2, size), np.int32)
        char_start[offset : offset + high - low] = context.start[low:high]
        char_end[offset : offset + high - low] = context.end[low:high]
        cls = template.cls if template.cls >= 0 else size + template.cls
        first = last = cls
        if span is not None and low <= span[0] and span[1] < high:
            first, last = span[0] - low + offset, span[1] - low + offset
        return Window(
            example=row,
            input_ids=template.input_ids(question, context.ids[low:high]),
            token_type_ids=template.token_type_ids(len(question), high - low),
            cls=cls,
            context_start=offset,
            context_end=offset + high - low,
            char_start=char_start,
            char_end=char_end,
            start_position=first,
            end_position=last,
        )

    def _tokens(self, texts: list[str]) -> list[Tokens]:
        encodings = self._backend.encode_batch(texts, add_special_tokens=False)
        return [_to_tokens(text, enc) for text, enc in zip(texts, encodings, strict=True)]


def _to_tokens(text: str, encoding: "Encoding") -> Tokens:
    ids = np.array(encoding.ids, np.int32)
    offsets = np.array(encoding.offsets, np.int32).reshape(-1, 2)
    start, end = np.ascontiguousarray(offsets.T)
    return Tokens(ids, trim_offsets(text, start, end), end)


def _template(tokenizer: "PreTrainedTokenizerFast") -> Template:
    """Read off a tokenizer's own pair which special tokens stand where."""
    pair = tokenizer.backend_tokenizer.encode("a", "a")
    ids, sequence = np.array(pair.ids, np.int32), pair.sequence_ids
    question = [i for i, s in enumerate(sequence) if s == 0]
    context = [i for i, s in enumerate(sequence) if s == 1]
    before, between = slice(0, question[0]), slice(question[-1] + 1, context[0])
    after = slice(context[-1] + 1, None)
    specials = [i for i, s in enumerate(sequence) if s is None]
    types = np.array(pair.type_ids, np.int32)
    if types[question[0]] == types[context[0]]:
        # RoBERTa knows no token types; models that tell the question apart need them.
        types = (np.arange(len(ids)) >= context[0]).astype(np.int32)
    cls = next((i for i in specials if ids[i] == tokenizer.cls_token_id), None)
    if cls is None:
        raise RetuneError(
            "qa.checkpoint.name: its tokenizer puts no CLS token into a pair, so that "
            "'no answer here' has no place; choose an encoder such as BERT or RoBERTa"
        )
    return Template(
        before=ids[before],
        between=ids[between],
        after=ids[after],
        before_types=types[before],
        between_types=types[between],
        after_types=types[after],
        question_type=int(types[question[0]]),
        context_type=int(types[context[0]]),
        cls=cls if cls < question[0] else cls - len(ids),
    )


def _check_capacity(params: TokenizeParams, specials: int, positions: int) -> None:
    """Refuse lengths that leave no room for the context (FAULTS: a panic in tokenizers)."""
    room = params.max_length - specials - params.max_question_length
    if room <= params.doc_stride:
        raise RetuneError(
            f"params.yaml: qa.tokenize: max_length {params.max_length} - {specials} special "
            f"tokens - max_question_length {params.max_question_length} leaves {room} tokens "
            f"for the context; it must be more than doc_stride {params.doc_stride} (the overlap "
            "of windows): raise max_length or lower the others"
        )
    if params.max_length > positions:
        raise RetuneError(
            f"params.yaml: qa.tokenize.max_length: {params.max_length} is more than the "
            f"{positions} tokens that the checkpoint's tokenizer is made for; lower it"
        )
