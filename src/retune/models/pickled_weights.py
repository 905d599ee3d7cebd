"""Pickled weights, converted to safetensors once and kept in the user's cache.

A pickle is a program. So the SHA-256 is compared first, and a separate process reads a copy of
the file (`retune.models.weights_converter`), with `torch.load(weights_only=True)` and limits on
memory and time. Here the file's bytes are only copied and summed.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from retune.core import manifests
from retune.core.errors import RetuneError
from retune.core.files import atomic_path, cache_folder, sha256

#: Names of a pretrained model's weights: as safetensors, and pickled.
WEIGHTS = "model.safetensors"
PICKLED = "pytorch_model.bin"

PROCESSOR_SECONDS = 300  # of the conversion; a large encoder needs a few
WALL_SECONDS = 1800.0

_CONVERTER = Path(__file__).with_name("weights_converter.py")
#: What the converter sees of the environment: no token and no switch of torch.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "TMPDIR")
_LIBRARIES = ("torch", "safetensors")
_ADVICE = "choose a model with model.safetensors"


def kept(expected: str, files: Sequence[Path]) -> Path | None:
    """Return the verified result of an earlier `convert` of the same files, if there is one."""
    target = _target(expected, files)
    try:
        manifests.read(target)
    except RetuneError:  # absent or damaged
        return None
    return target


def convert(folder: Path, expected: str, files: Sequence[Path]) -> Path:
    """Return a folder with the model in `folder`, its weights as model.safetensors.

    The first call converts the weights; later calls verify the result. Its manifest.json
    records the sums of the pickle and of all files.

    Args:
        folder: with the pickled weights.
        expected: their SHA-256.
        files: the other files of the model.

    Raises:
        RetuneError: the file has another sum, or holds something that is not plain tensors.
    """
    target = _target(expected, files)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{target.name}.lock")):
        if kept(expected, files) is None:
            _convert(folder / PICKLED, expected, files, target)
    return target


def unpinned(source: Path) -> RetuneError:
    """Return the error for pickled weights without a pinned sum; it names the key to set."""
    found = sha256(source)
    return RetuneError(
        f"pickle_sha256: {source} is pickled, and no sum pins it. A pickle of a stranger can harm "
        f"this machine. If you trust its origin, set `pickle_sha256: {found}` beside `revision`, "
        f"and it is converted to {WEIGHTS}; otherwise {_ADVICE}"
    )


def _target(expected: str, files: Sequence[Path]) -> Path:
    """The folder of a conversion, named by the sums of its sources."""
    told = [expected, *(f"{file.name} {sha256(file)}" for file in sorted(files))]
    name = hashlib.sha256("\n".join(told).encode()).hexdigest()
    return cache_folder() / "converted" / name


def _convert(source: Path, expected: str, files: Sequence[Path], target: Path) -> None:
    print(f"converting {source} to {WEIGHTS}, once; kept in {target}", file=sys.stderr, flush=True)
    with atomic_path(target) as folder:
        folder.mkdir()
        copy = folder / PICKLED  # nobody else can change it between its sum and its reading
        if (found := _copied(source, copy)) != expected:
            raise RetuneError(
                f"pickle_sha256: {source} has SHA-256 {found}, expected {expected}; download the "
                "file again, or correct the sum if this is the file that you want"
            )
        if refusal := _refusal(copy, folder / WEIGHTS):
            raise RetuneError(
                f"name: {source} is refused: {refusal}. Nothing in it was run; {_ADVICE}"
            )
        record = {"name": PICKLED, "sha256": expected, "bytes": copy.stat().st_size}
        copy.unlink()
        for file in files:
            shutil.copyfile(file, folder / file.name)
        libraries = {name: version(name) for name in _LIBRARIES}
        manifests.seal(folder, {"converted_from": record, "libraries": libraries})


def _copied(source: Path, target: Path) -> str:
    """Copy a file and return the SHA-256 of the bytes that were written."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while block := read.read(2**20):
            digest.update(block)
            written.write(block)
    return digest.hexdigest()


def _refusal(source: Path, target: Path) -> str:
    """Why the converter did not write `target`; "" if it did."""
    command = [sys.executable, "-P", str(_CONVERTER), str(source), str(target)]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(
            [*command, str(PROCESSOR_SECONDS)],
            env={**environment, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            timeout=WALL_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"reading it took more than {WALL_SECONDS:,.0f} seconds"
    if done.returncode == -signal.SIGXCPU:
        return f"reading it took more than {PROCESSOR_SECONDS:,} seconds of processor time"
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"reading it was ended by {name}, as happens if it needs too much memory"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:300]
        return "".join(c if c.isprintable() else "?" for c in said)
    return ""
