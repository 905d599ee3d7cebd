"""Files of pickled weights, sound and hostile; the hostile ones would make the folder `mark`."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

WEIGHTS = {"bert.embeddings.word_embeddings.weight": torch.arange(32.0).reshape(8, 4)}


class Payload:
    """Unpickling makes the folder `mark`."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


class Command(Payload):
    """Unpickling runs a shell's command that makes the folder `mark`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"mkdir {self.mark}",)


class Expression(Payload):
    """Unpickling evaluates an expression that makes the folder `mark`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"__import__('os').mkdir({str(self.mark)!r})",)


def archived(path: Path, data: bytes) -> None:
    """Write torch's zip form around a pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3")
        archive.writestr("archive/byteorder", "little")


def endless() -> bytes:
    """A pickle of a dict whose key takes 2^60 steps to hash: a tuple of itself twice, 60 deep."""
    levels = b"".join(b"q%ch%c\x86" % (n, n) for n in range(60))
    return b"\x80\x02})" + levels + b"K\x01s."


def memory_bomb(path: Path, size: int) -> None:
    """Write a small file, of torch's old form, that asks for a tensor of `size` floats."""
    torch.save({"a": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    for before, after in [(b"q\x06", b"N"), (b"K\x00", b"\x85")]:  # of the storage, the tensor
        assert data.count(before + b"K\x04" + after) == 1
        number = b"J" + size.to_bytes(4, "little")
        data = data.replace(before + b"K\x04" + after, before + number + after)
    path.write_bytes(data)


def nested(path: Path, mark: Path) -> None:
    """Write an archive whose pickle is an archive with a payload."""
    inner = path.with_suffix(".inner")
    torch.save(Payload(mark), inner)
    archived(path, inner.read_bytes())


def plain(path: Path, value: Any) -> None:
    """Write an ordinary pickle."""
    path.write_bytes(pickle.dumps(value, protocol=2))
