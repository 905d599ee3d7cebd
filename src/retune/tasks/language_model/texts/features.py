"""Blocks of tokens on disk: an Arrow stream with one block per row, all of one length."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retune.core.errors import RetuneError
from retune.core.feature_files import AGAIN, feature_writer, read_features

_COLUMN = "input_ids"


def write_blocks(path: Path, blocks: NDArray[np.int64]) -> None:
    """Write N blocks of T tokens, shape (N, T)."""
    values = pa.array(blocks.astype(np.int32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(values, blocks.shape[1])
    batch = pa.record_batch([column], names=[_COLUMN])
    with feature_writer(path, batch.schema) as stream:
        stream.write_batch(batch)


def read_blocks(path: Path, vocabulary_size: int) -> NDArray[np.int64]:
    """Read the blocks (N, T) that `write_blocks` wrote.

    Raises:
        RetuneError: the file is absent or damaged, has no block, or has tokens outside the
            vocabulary.
    """
    table = read_features(path, _is_of_blocks, f"blocks of {_COLUMN}")
    size = table.schema.types[0].list_size
    ids = table[_COLUMN].combine_chunks().flatten().to_numpy().reshape(-1, size).astype(np.int64)
    unknown = ids[(ids < 0) | (ids >= vocabulary_size)]
    if unknown.size:
        raise RetuneError(
            f"{path}: token {unknown[0]} is none of the {vocabulary_size} of the vocabulary; "
            f"{AGAIN}"
        )
    blocks: NDArray[np.int64] = ids
    return blocks


def _is_of_blocks(schema: pa.Schema) -> bool:
    return schema.names == [_COLUMN] and bool(pa.types.is_fixed_size_list(schema.types[0]))
