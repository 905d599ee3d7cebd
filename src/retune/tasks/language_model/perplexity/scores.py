"""Log-probabilities of the tokens of texts under a causal language model.

A text that is longer than the model's context is read in overlapping windows. Each token counts
once; the tokens before it in its window are its context.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from tqdm import tqdm

from retune.core.errors import RetuneError
from retune.models.positions import require_positions
from retune.models.precision import evaluating
from retune.processes.share import ALONE, Share
from retune.tasks.language_model.generate.kv_cache import no_number
from retune.tasks.language_model.outputs.likelihoods import Likelihood
from retune.tasks.language_model.texts.prompts import Padded, Tokens, check_tokens, takes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Stretch(NamedTuple):
    """A part of a text that is read at once; its tokens from `counted` on are predicted."""

    begin: int
    counted: int
    end: int


class _Piece(NamedTuple):
    tokens: Tokens
    asked: int  # how many of the last tokens are predicted


def continuation_likelihoods(
    model: "PreTrainedModel",
    pairs: Sequence[tuple[Tokens, Tokens]],
    batch_size: int,
    share: Share = ALONE,
) -> list[Likelihood]:
    """The likelihood of each continuation, given its prompt, in every process.

    Raises:
        RetuneError: a prompt or a continuation is empty, or the two are too long together.
    """
    every = continuation_log_probabilities(model, pairs, batch_size, share)
    return [_likelihood(logs) for logs in every]


def continuation_log_probabilities(
    model: "PreTrainedModel",
    pairs: Sequence[tuple[Tokens, Tokens]],
    batch_size: int,
    share: Share = ALONE,
) -> list[list[float]]:
    """The log-probability of each token of each continuation, given its prompt.

    Args:
        model: a causal language model.
        pairs: prompts and their continuations.
        batch_size: how many are read together.
        share: of this process in the batches; every process gets all log-probabilities.

    Raises:
        RetuneError: a prompt or a continuation is empty, or the two are too long together.
    """
    for number, (prompt, continuation) in enumerate(pairs):
        for name, tokens in (("prompt", prompt), ("continuation", continuation)):
            if not len(tokens):
                raise RetuneError(f"{name} {number} is empty; leave the pair out, and count it")
    pieces = [_Piece([*prompt, *after], len(after)) for prompt, after in pairs]
    check_tokens(model, [piece.tokens for piece in pieces], "prompt and continuation")
    return _log_probabilities(model, pieces, batch_size, share)


def text_likelihoods(
    model: "PreTrainedModel",
    texts: Sequence[Tokens],
    window: int,
    stride: int,
    batch_size: int,
    share: Share = ALONE,
) -> list[Likelihood]:
    """The likelihood of each text; all tokens count except the first, which has no context.

    Args:
        model: a causal language model.
        texts: their tokens.
        window: how many tokens are read at once.
        stride: how many tokens further the next window begins.
        batch_size: how many windows are read together.
        share: of this process in the batches; every process gets all likelihoods.

    Raises:
        RetuneError: a text is empty, or the windows are too long.
    """
    if not 1 <= stride < window:
        raise RetuneError(
            f"stride: {stride} is not between 1 and {window - 1}; a window of {window} tokens must "
            "hold one or more of the last window, which the next token follows"
        )
    require_positions(model, window, "window")
    check_tokens(model, texts, "text", bounded=False)
    pieces, owners = [], []
    for number, text in enumerate(texts):
        for begin, counted, end in stretches(len(text), window, stride):
            pieces.append(_Piece(text[begin:end], end - counted))
            owners.append(number)
    logs: list[list[float]] = [[] for _ in texts]
    read = _log_probabilities(model, pieces, batch_size, share)
    for owner, found in zip(owners, read, strict=True):
        logs[owner] += found
    return [_likelihood(each) for each in logs]


def stretches(length: int, window: int, stride: int) -> list[Stretch]:
    """Yield the parts of a text in which each token except the first is counted once.

    The last part is as long as the others, so that its tokens have as much context.
    """
    found = [Stretch(0, 1, min(window, length))] if length > 1 else []
    while found and found[-1].end < length:
        end = min(found[-1].end + stride, length)
        found.append(Stretch(end - window, found[-1].end, end))
    return found


def _likelihood(logs: Sequence[float]) -> Likelihood:
    return Likelihood(math.fsum(logs), len(logs))


def _log_probabilities(
    model: "PreTrainedModel", pieces: Sequence[_Piece], batch_size: int, share: Share
) -> list[list[float]]:
    """The log-probability of each predicted token; parts of similar length share a batch."""
    order = sorted(range(len(pieces)), key=lambda number: -len(pieces[number].tokens))
    found: dict[int, list[float]] = {}
    with evaluating(model, "fp32") as device:

        def read(numbers: Sequence[int]) -> list[list[float]]:
            batch = Padded.left([pieces[number].tokens for number in numbers], device)
            asked = max(pieces[number].asked for number in numbers)
            rows = _last_log_probabilities(model, batch, asked).tolist()
            return [row[asked - pieces[n].asked :] for n, row in zip(numbers, rows, strict=True)]

        computed = share.computed(order, batch_size, read)
        count = math.ceil(len(order) / batch_size)
        for numbers, logs in tqdm(computed, "read", count, leave=False, unit=" batches", delay=2):
            found.update(zip(numbers, logs, strict=True))
    if any(math.isnan(value) for logs in found.values() for value in logs):
        raise no_number()
    return [found[number] for number in range(len(pieces))]


def _last_log_probabilities(model: "PreTrainedModel", batch: Padded, count: int) -> Tensor:
    """Log-probabilities (B, count) of the last `count` tokens of each row; padding has any."""
    placed = {"position_ids": batch.positions()} if takes(model, "position_ids") else {}
    # The head over the vocabulary costs most: only what is asked for goes through it.
    last = {"logits_to_keep": count + 1} if takes(model, "logits_to_keep") else {}
    output = model(
        input_ids=batch.tokens,
        attention_mask=batch.real.long(),
        use_cache=False,
        **placed,
        **last,
    )
    logits = output.logits[:, -count - 1 : -1].float()
    tokens = batch.tokens[:, -count:]
    logs: Tensor = logits.log_softmax(2).gather(2, tokens[..., None])[..., 0]
    return logs
