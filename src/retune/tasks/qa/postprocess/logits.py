"""Read the logits of a split's windows, which the predict stage writes."""

import tokenize  # by which numpy reads an old file's header
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from retune.core.errors import RetuneError
from retune.core.files import read_json
from retune.tasks.qa.postprocess.spans import Floats, chunks
from retune.tasks.qa.windows.windows import Windows

LOGITS = "logits.npy"


def read_parts(features: Path, logits: Path) -> Iterator[tuple[Windows, Floats]]:
    """The windows of a file of features with their logits, in chunks: see `ranked_in_parts`.

    Raises:
        RetuneError: the logits do not belong to these windows.
    """
    from retune.tasks.qa.windows.features import count_windows, feature_batches

    values = read_logits(logits, count_windows(features))
    low = 0
    for windows in feature_batches(features):
        size, place = windows.tokens, values.offset + values.itemsize * values.shape[1] * low
        # Read again: the pages of a memory map count as the process's own until it ends.
        part = np.fromfile(logits / LOGITS, values.dtype, 2 * size, offset=place)
        yield from chunks(windows, part.reshape(size, 2))
        low += size


def read_logits(folder: Path, expected: Mapping[str, int]) -> np.memmap[Any, np.dtype[np.float32]]:
    """Open logits as a memory map, shape (tokens, 2).

    Raises:
        RetuneError: their numbers of windows and tokens are not the `expected` ones.
    """
    counts = read_json(folder / "windows.json")
    if counts != expected:
        raise RetuneError(
            f"{folder}: logits of {counts}, but the features have {expected}; run the predict "
            "stage on these features"
        )
    path = folder / LOGITS
    try:
        # np.load would take an archive or a pickle, too, by their first bytes.
        logits = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OverflowError, tokenize.TokenError) as error:
        raise RetuneError(f"{path}: damaged ({error}); run `dvc repro predict --force`") from None
    form: tuple[Any, ...] = logits.dtype, logits.shape, logits.flags.c_contiguous
    if form != (np.float32, (expected["tokens"], 2), True):
        raise RetuneError(
            f"{path}: damaged ({logits.dtype} of shape {logits.shape}); run "
            "`dvc repro predict --force`"
        )
    return logits
