"""Stage `tokenize`: cut questions and contexts into windows of token ids, and audit them.

Every model that shares the tokenizer can use the windows. The label of a window is the first and
last token of the first reference answer. It is the CLS position if the window does not hold the
whole answer. Windows also have the characters of each token.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from retune.core.errors import RetuneError, listed
from retune.core.files import atomic_path, json_lines_writer, write_json
from retune.core.params import STRICT, Fraction, NotNegative, Positive
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.questions.splits import splits_in
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.audit import Audit
from retune.tasks.qa.windows.features import WindowWriter, window_writer
from retune.tasks.qa.windows.token_offsets import trim_offsets, unread_characters
from retune.tasks.qa.windows.windows import (
    Features,
    Ints,
    Lengths,
    Longs,
    Template,
    Tokens,
    covering_spans,
    cut_windows,
)

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from transformers import PreTrainedTokenizerFast

_BATCH = 1000  # examples tokenized at a time: bounds memory, changes no output
_UNKNOWN = 100  # unknown tokens of a batch whose texts are looked at


@dataclass(frozen=True, config=STRICT)
class TokenizeParams:
    """Section `qa.tokenize`. All lengths are in tokens.

    Attributes:
        max_length: of a window.
        doc_stride: the overlap of neighbouring windows, as in BERT's SQuAD code, not the distance
            between their starts.
        max_question_length: longer questions are cut.
        windows: `all`, or `first` to truncate long contexts.
        max_lost_answers: the share of a split's answers, from 0 to 1, that no window may hold.
        max_unknown_tokens: the share of tokens that the tokenizer may not know.
    """

    max_length: Positive
    doc_stride: NotNegative
    max_question_length: Positive
    windows: Literal["all", "first"]
    max_lost_answers: Fraction
    max_unknown_tokens: Fraction


def tokenize(
    raw: Path,
    features: Path,
    metrics: Path,
    *,
    tokenizer: "PreTrainedTokenizerFast",
    params: TokenizeParams,
    scoring: ScoreParams,
    squad_v2: bool,
    longest: int | None = None,
) -> str:
    """Write `features` (a folder: an Arrow file a split, the tokenizer) and the audit.

    The splits are those whose files are in `raw`. `longest` is the most tokens that a predicted
    answer may have; it only changes the audit.

    Raises:
        RetuneError: the windows that `params` asks for cannot exist or lose too many answers, a
            split is empty, or the tokenizer keeps nothing of a train context or knows too few
            tokens.
    """
    windower = Windower(tokenizer, params)
    audits = []
    with atomic_path(features) as folder:
        folder.mkdir(parents=True)
        tokenizer.save_pretrained(folder / "tokenizer")
        for split in splits_in(raw):
            with (
                window_writer(folder / f"{split}.arrow") as writer,
                json_lines_writer(folder / f"{split}_notes.jsonl") as write_note,
            ):
                audit = Audit(
                    split, write_note, scoring.normalizer, squad_v2=squad_v2, longest=longest
                )
                _write_split(raw / f"{split}.jsonl", writer, windower, audit)
            audit.require_known(params.max_unknown_tokens)
            _require_reachable(audit, params)
            audits.append(audit)
    write_json(metrics, {"qa": {"windows": [audit.summary() for audit in audits]}})
    return "; ".join(audit.sentence() for audit in audits)


def _write_split(path: Path, writer: WindowWriter, windower: "Windower", audit: Audit) -> None:
    examples = tqdm(read_examples(path), desc=f"tokenize {audit.split}", unit=" questions")
    row = 0
    for batch in batches(examples):
        cut = windower.cut(batch, first_row=row)
        audit.add(batch, *cut)
        writer.write(cut.windows)
        row += len(batch)
    if row == 0:
        raise RetuneError(f"{path}: no questions; the download stage left this split empty")


def _require_reachable(audit: Audit, params: TokenizeParams) -> None:
    """Refuse a split whose windows hold too few of its answers."""
    if audit.split == "train" and (empty := audit.ids["context_without_tokens"]):
        raise RetuneError(
            f"train: the tokenizer keeps nothing of the context of {listed(empty)}, such as "
            "control characters only; take these questions out of the data"
        )
    lost, answers = audit.ids["answer_in_no_window"], audit.counts["answers"]
    if len(lost) <= params.max_lost_answers * answers:
        return
    if params.windows == "first":
        advice = "`windows: all` keeps what follows the first window"
    else:
        longest = audit.longest_lost
        advice = f"doc_stride {longest - 1}, with max_length to match, keeps even the longest"
        advice += f" of {longest} tokens"
    raise RetuneError(
        f"{audit.split}: {len(lost):,} of {answers:,} answers ({len(lost) / answers:.1%}) are "
        f"whole in no window, of questions {listed(lost)}; params.yaml: qa.tokenize: {advice}; "
        f"or raise max_lost_answers, now {params.max_lost_answers}"
    )


def batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """Yield the examples in lists, which are tokenized and stored together."""
    examples = iter(examples)
    return iter(lambda: list(itertools.islice(examples, _BATCH)), [])


class Cut(NamedTuple):
    """The windows of N questions."""

    windows: Features
    question_cut: Longs  # (N,) question tokens that were cut off
    answer_tokens: Longs  # (N,) tokens of the answer that is the label, 0 where there is none
    room: Longs  # (N,) tokens of the context that fit into a window
    text_tokens: Longs  # (N,) tokens of question and context, with characters in no token
    unknown_tokens: Longs  # (N,) those that the tokenizer does not know
    unknown: list[str]  # some of their texts in the contexts


class Windower:
    """Cuts examples into windows with one tokenizer and one set of lengths."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", params: TokenizeParams) -> None:
        self.params = params
        self._backend: Tokenizer = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        # "[SEP]" in a context or question is text, and must not end a sequence.
        self._backend.encode_special_tokens = True
        self.template = _template(tokenizer)
        self._unknown_id = tokenizer.unk_token_id
        # Byte-pair models without an unknown token leave out what they do not know.
        self._leaves_out = getattr(self._backend.model, "unk_token", "") is None
        self._lengths = Lengths(
            params.max_length,
            params.max_question_length,
            params.doc_stride,
            first_only=params.windows == "first",
        )
        _check_capacity(params, self.template.specials, tokenizer.model_max_length)

    def cut(self, examples: Sequence[Example], first_row: int) -> Cut:
        """Cut each example; the first has row `first_row` in its split."""
        place: dict[str, int] = {}
        context = np.array([place.setdefault(e.context, len(place)) for e in examples], np.int64)
        contexts = self.context_tokens(list(place))
        questions = self._ids([example.question.strip() for example in examples])
        answers = [
            (answer.start, answer.end) if answer else (-1, -1)
            for answer in (example.label for example in examples)
        ]
        chars = np.array(answers, np.int64)
        first, last = covering_spans(contexts, context, chars)
        size = np.minimum(questions.counts, self._lengths.question)
        left_out = unread_characters(list(place), contexts)[context] if self._leaves_out else 0
        return Cut(
            cut_windows(
                questions, contexts, context, chars, self.template, self._lengths, first_row
            ),
            question_cut=questions.counts - size,
            answer_tokens=np.maximum(last - first + 1, 0),
            room=self.params.max_length - self.template.specials - size,
            text_tokens=questions.counts + contexts.counts[context] + left_out,
            unknown_tokens=self._unknown(questions) + self._unknown(contexts)[context] + left_out,
            unknown=self._unknown_texts(contexts, list(place)),
        )

    def _unknown(self, tokens: Tokens) -> Longs:
        """How many tokens of each text are unknown, shape (texts,)."""
        sums = np.cumsum(tokens.ids == self._unknown_id, dtype=np.int64)
        return np.diff(np.concatenate([[0], sums])[tokens.bounds])

    def _unknown_texts(self, tokens: Tokens, texts: list[str]) -> list[str]:
        """The first few of the texts of unknown tokens."""
        token = np.flatnonzero(tokens.ids == self._unknown_id)[:_UNKNOWN]
        text = np.searchsorted(tokens.bounds, token, side="right") - 1
        places = zip(text.tolist(), tokens.start[token], tokens.end[token], strict=True)
        return [texts[row][start:end] for row, start, end in places]

    def kept_of(self, question: str) -> str:
        """Return a question cut to `max_question_length`."""
        question = question.strip()
        offsets = self._backend.encode(question, add_special_tokens=False).offsets
        return question[: offsets[: self.params.max_question_length][-1][1]]

    def _ids(self, texts: list[str]) -> Tokens:
        """Token ids of texts, without the characters of the tokens."""
        encodings = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        ids, bounds = _flat_ids(encodings)
        return Tokens(ids, np.zeros_like(ids), np.zeros_like(ids), bounds)

    def context_tokens(self, texts: list[str]) -> Tokens:
        """Return the tokens of contexts with their characters."""
        encodings = self._backend.encode_batch(texts, add_special_tokens=False)
        ids, bounds = _flat_ids(encodings)
        pairs = itertools.chain.from_iterable(encoding.offsets for encoding in encodings)
        offsets = np.fromiter(itertools.chain.from_iterable(pairs), np.int32, 2 * len(ids))
        start, end = np.ascontiguousarray(offsets.reshape(-1, 2).T)
        for text, (low, high) in zip(texts, itertools.pairwise(bounds.tolist()), strict=True):
            start[low:high] = trim_offsets(text, start[low:high], end[low:high])
        return Tokens(ids, start, end, bounds)


def _flat_ids(encodings: list["Encoding"]) -> tuple[Ints, Longs]:
    """Ids of all texts, and where each of them begins."""
    ids = [encoding.ids for encoding in encodings]
    bounds = np.cumsum([0, *map(len, ids)])
    return np.fromiter(itertools.chain.from_iterable(ids), np.int32, int(bounds[-1])), bounds


def _template(tokenizer: "PreTrainedTokenizerFast") -> Template:
    """Find out where a tokenizer puts special tokens, by encoding a pair."""
    pair = tokenizer.backend_tokenizer.encode("a", "a")
    ids, sequence = np.array(pair.ids, np.int32), pair.sequence_ids
    question = [i for i, s in enumerate(sequence) if s == 0]
    context = [i for i, s in enumerate(sequence) if s == 1]
    before, between = slice(0, question[0]), slice(question[-1] + 1, context[0])
    after = slice(context[-1] + 1, None)
    specials = [i for i, s in enumerate(sequence) if s is None]
    types = np.array(pair.type_ids, np.int32)
    if types[question[0]] == types[context[0]]:
        # RoBERTa knows no token types; models that distinguish the question need them.
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
            f"{positions} tokens that the encoder's tokenizer is made for; lower it"
        )
