"""Arrow streams of features: written whole or not at all, and checked when they are read."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from retune.core.errors import RetuneError
from retune.core.files import atomic_path

#: What to do about features that cannot be used.
AGAIN = "run the tokenize stage again: `dvc repro --force --single-item tokenize`"


@contextmanager
def feature_writer(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatchStreamWriter]:
    """Open `path` for record batches; the file appears when the block ends without an error."""
    with atomic_path(path) as temporary, pa.ipc.new_stream(str(temporary), schema) as stream:
        yield stream


@contextmanager
def feature_reader(
    path: Path, fits: Callable[[pa.Schema], bool], expected: str, *, mapped: bool = False
) -> Iterator[pa.RecordBatchStreamReader]:
    """Open the record batches in `path`.

    Args:
        path: a file of `feature_writer`.
        fits: whether a schema is the expected one.
        expected: what the columns should be, for the message.
        mapped: read through a memory map, which loads only the columns that are used. Its pages
            count as the process's own memory until it ends.

    Raises:
        RetuneError: the file is absent or damaged, or has other columns.
    """
    with explained(path), pa.memory_map(str(path)) if mapped else pa.OSFile(str(path)) as file:
        stream = pa.ipc.open_stream(file)
        require_columns(stream.schema, fits, expected, path)
        yield stream


def read_features(path: Path, fits: Callable[[pa.Schema], bool], expected: str) -> pa.Table:
    """Read all rows in `path`, which must have at least one; see `feature_reader`."""
    with feature_reader(path, fits, expected) as stream:
        table = stream.read_all()
    if not len(table):
        raise RetuneError(f"{path}: has no rows; {AGAIN}")
    return table


def require_columns(
    schema: pa.Schema, fits: Callable[[pa.Schema], bool], expected: str, path: Path
) -> None:
    """Raise a `RetuneError` unless `schema` fits."""
    if not fits(schema):
        names = ", ".join(schema.names)
        raise RetuneError(f"{path}: its columns are {names}, not {expected}; {AGAIN}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of reading `path` into a `RetuneError`, except a missing permission.

    Raises:
        RetuneError: the file is missing or damaged.
        PermissionError: it may not be read; the error names it, as pyarrow's does not.
    """
    try:
        yield
    except PermissionError as error:
        reason = os.strerror(error.errno or errno.EACCES)
        raise PermissionError(error.errno, reason, str(path)) from None
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; run the tokenize stage first") from None
    except (ValueError, OSError) as error:  # `ArrowInvalid` is a ValueError
        raise RetuneError(f"{path}: damaged ({error}); {AGAIN}") from None
