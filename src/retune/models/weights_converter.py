"""Convert one file of pickled weights to safetensors: a script with limits of its own.

`retune.models.pickled_weights` runs it in a separate process, on a file whose sum it has checked.
Only `torch.load(weights_only=True)` opens the pickle, under limits on memory, time and written
bytes. What is not a plain mapping of names to tensors is refused. The script imports nothing of
retune.

    python -P weights_converter.py SOURCE TARGET SECONDS
"""

import errno
import os
import re
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

#: Memory beyond what the libraries take: so many times the file, and this for small ones.
MEMORY_FACTOR = 6
MEMORY_BASE = 512 * 2**20
#: How many times larger than the file the result may be: it repeats tied weights.
SIZE_FACTOR = 4
_HEADER = 2**24  # names and shapes

_GLOBAL = re.compile(r"GLOBAL (\S+)")
#: What torch.load calls the forms that it does not read safely.
_FORMS = {"TorchScript": "a TorchScript archive", "legacy .tar": "in the tar format of PyTorch 0.1"}


class RefusedError(Exception):
    """The file holds something that is not weights."""


def main(source: Path, target: Path, seconds: int) -> None:
    """Write the tensors of `source` to `target`, or exit with a sentence that says why not."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    size = source.stat().st_size
    try:
        limit(size, seconds)
        with source.open("rb") as file:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
        save_file(plain_tensors(loaded, SIZE_FACTOR * size), target, metadata={"format": "pt"})
    except Exception as error:
        sys.exit(reason(error))


def limit(size: int, seconds: int) -> None:
    """Bound memory, processor time and written bytes of this process from here on."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    used = Path("/proc/self/statm")
    if used.exists():  # only Linux enforces this limit
        taken = int(used.read_text().split()[0]) * resource.getpagesize()
        _bound(resource.RLIMIT_AS, taken + MEMORY_BASE + MEMORY_FACTOR * size)
    _bound(resource.RLIMIT_CPU, int(spent.ru_utime + spent.ru_stime) + 1 + seconds, 5)
    _bound(resource.RLIMIT_FSIZE, SIZE_FACTOR * size + _HEADER)
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_NPROC, 0)  # no further process or thread


def plain_tensors(loaded: Any, largest: int) -> "dict[str, Tensor]":
    """Return the tensors of `loaded` by name, which share no memory.

    Args:
        loaded: what a pickle held.
        largest: how many bytes all of them may have.

    Raises:
        RefusedError: a key is not a string, a value is not a plain tensor, or they are
            larger than that.
    """
    if not isinstance(loaded, Mapping):
        raise RefusedError(f"it holds {_kind(loaded)} instead of tensors by name")
    if not loaded:
        raise RefusedError("it holds no tensor")
    for name, value in loaded.items():
        if not isinstance(name, str):
            raise RefusedError(f"it has {_kind(name)} as a name")
        if strange := _strange(value):
            raise RefusedError(f"its entry {name[:80]!r} is {strange}")
    size = sum(value.numel() * value.element_size() for value in loaded.values())
    if size > largest:
        raise RefusedError(
            f"its tensors would take {size:,} bytes, over {SIZE_FACTOR} times the file"
        )
    seen: set[int] = set()
    return {name: _alone(value.detach(), seen) for name, value in loaded.items()}


def _alone(value: "Tensor", seen: set[int]) -> "Tensor":
    """`value`, or a copy where it shares memory, as tied weights do."""
    storage = value.untyped_storage()
    is_whole = value.is_contiguous() and storage.nbytes() == value.numel() * value.element_size()
    if is_whole and storage.data_ptr() not in seen:
        seen.add(storage.data_ptr())
        return value
    return value.contiguous().clone()


def _strange(value: Any) -> str:
    """What `value` is if it is not a plain tensor, otherwise ""."""
    import torch

    if type(value) not in {torch.Tensor, torch.nn.Parameter}:
        return _kind(value)
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        return f"a tensor of another kind ({value.layout}, {value.dtype}, {value.device.type})"
    return f"a tensor of {value.dtype}" if value.dtype.is_complex else ""


def _kind(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def reason(error: BaseException) -> str:
    """Say what is wrong with the file, without torch's advice to read it unsafely."""
    text = " ".join(str(error).split())
    if isinstance(error, RefusedError):
        return text
    if match := _GLOBAL.search(text):
        return f"it asks for {match[1][:80]}, which is code, not weights"
    if isinstance(error, MemoryError) or "allocate memory" in text:
        return "it asks for more memory than its size explains"
    for mark, form in _FORMS.items():
        if mark in text:
            return f"it is {form}"
    if os.strerror(errno.ENOSPC) in text:
        return "the disk is full: make room and run again"
    told = text.partition("WeightsUnpickler error: ")[2].partition(" Check the documentation")[0]
    return f"it is not a pickle of plain tensors ({told[:200] or type(error).__name__})"


def _bound(which: int, most: int, grace: int = 0) -> None:
    _, hard = resource.getrlimit(which)
    soft, last = (
        n if hard == resource.RLIM_INFINITY else min(n, hard) for n in (most, most + grace)
    )
    resource.setrlimit(which, (soft, last))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
