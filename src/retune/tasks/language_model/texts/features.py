"""Blocks of tokens on disk: an Arrow stream, a block a row, all of one length."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retune.core.errors import RetuneError
from retune.core.files import atomic_path

_COLUMN = "input_ids"


def write_blocks(path: Path, blocks: NDArray[np.int64]) -> None:
    """Write N blocks of T tokens, (N, T)."""
    values = pa.array(blocks.astype(np.int32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(values, blocks.shape[1])
    batch = pa.record_batch([column], names=[_COLUMN])
    with atomic_path(path) as temporary, pa.ipc.new_stream(str(temporary), batch.schema) as stream:
        stream.write_batch(batch)


def read_blocks(path: Path, vocabulary_size: int) -> NDArray[np.int64]:
    """The blocks (N, T) that `write_blocks` wrote, of tokens below `vocabulary_size`.

    Raises:
        RetuneError: the file is absent or damaged, has no block, or tokens that there are not.
    """
    again = "run the tokenize stage again (`dvc repro --force`)"
    try:
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; run the tokenize stage first") from None
    except (pa.ArrowInvalid, OSError) as error:  # the latter where the end is cut off
        raise RetuneError(f"{path}: damaged ({error}); {again}") from None
    if table.schema.names != [_COLUMN] or not pa.types.is_fixed_size_list(table.schema.types[0]):
        raise RetuneError(
            f"{path}: its columns are {', '.join(table.schema.names)}, not blocks of {_COLUMN}; "
            f"{again}"
        )
    if not len(table):
        raise RetuneError(f"{path}: has no block; {again}")
    size = table.schema.types[0].list_size
    ids = table[_COLUMN].combine_chunks().flatten().to_numpy().reshape(-1, size).astype(np.int64)
    unknown = ids[(ids < 0) | (ids >= vocabulary_size)]
    if unknown.size:
        raise RetuneError(
            f"{path}: token {unknown[0]} is none of the {vocabulary_size} of the vocabulary; "
            f"{again}"
        )
    blocks: NDArray[np.int64] = ids
    return blocks
