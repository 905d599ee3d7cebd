"""Stages read only folders that an earlier stage has finished, and that belong together.

The manifest of a folder (`retune.core.manifests`) holds the sums of its files, the params that it
shares with later stages, and the sums of the folders that it was made from. So a stage refuses
logits of another model, or windows of other questions.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from retune.core import manifests
from retune.core.errors import RetuneError, excerpt
from retune.core.files import locked, require_writable
from retune.core.plain_files import require_unchanged

#: Names under a task (`<task>.model`) of params that decide a folder and that later stages read.
_SHARED = frozenset({"checkpoint", "model", "squad_v2", "vocabulary"})


@contextmanager
def sealed(
    params: Mapping[str, Any],
    *,
    reads: Mapping[str, Path],
    writes: Mapping[str, Path],
    reports: Sequence[Path] = (),
) -> Iterator[None]:
    """Check the folders that a stage reads, run the block, and seal the folders that it writes.

    Args:
        params: the params that the stage reads, by dotted name.
        reads: folders of earlier stages, by name (`raw`, `features`, ...).
        writes: folders of this stage, by name. They are locked during the block.
        reports: the other paths that the stage writes, which are locked, too.

    Raises:
        RetuneError: a folder in `reads` is damaged, or was made with other params or from other
            folders, or another run writes the same paths, or nothing can be written there.
    """
    found = {kind: _manifest(folder) for kind, folder in reads.items()}
    states = {path: s for folder in reads.values() for path, s in manifests.states(folder).items()}
    digests = {kind: manifests.digest(folder) for kind, folder in reads.items()}
    for kind, manifest in found.items():
        _require_params(reads[kind], manifest, params)
        _require_inputs(reads, kind, manifest, digests)
    if os.environ.get("RANK", "0") != "0":  # in a launch, the first process writes for all
        yield
        return
    with ExitStack() as locks:
        for path in [*writes.values(), *reports]:
            require_writable(path.parent)
            locks.enter_context(locked(path.with_name(f".{path.name}.lock")))
        yield
        require_unchanged(states)
        shared = {name: value for name, value in params.items() if _is_shared(name)}
        for folder in writes.values():
            manifests.seal(folder, {"inputs": digests, "params": shared})


def _manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise RetuneError(f"{folder}: no such folder; run the stage that writes it (`dvc repro`)")
    try:
        manifest = manifests.read(folder)
        if missing := {"inputs", "params"} - manifest.keys():
            raise RetuneError(f"{folder / manifests.NAME}: damaged, it has no {min(missing)}")
        return manifest
    except RetuneError as error:
        raise RetuneError(
            f"{error}; a stage reads only what an earlier stage wrote. Move files of your own to "
            "another folder. Then run `dvc repro --force --single-item STAGE`, with the stage that "
            f"writes {folder}. If it comes back damaged, rename `.dvc/cache` and run that again"
        ) from None


def _is_shared(name: str) -> bool:
    """Return whether several stages of a task share the param with this dotted name."""
    task, _, param = name.partition(".")
    return bool(task) and param in _SHARED


def _require_params(folder: Path, manifest: dict[str, Any], params: Mapping[str, Any]) -> None:
    for name, value in manifest["params"].items():
        if not _is_shared(name):
            raise RetuneError(
                f"{folder}: its {manifests.NAME} names the param {excerpt(name)}, which stages do "
                "not share; it is damaged or from another version of retune; run `dvc repro`"
            )
        if name in params and params[name] != value:
            raise RetuneError(
                f"{folder}: made with {name} {excerpt(value)}, while the params say "
                f"{excerpt(params[name])}; run `dvc repro`, which brings all stages to one state"
            )


def _require_inputs(
    reads: Mapping[str, Path], kind: str, manifest: dict[str, Any], digests: Mapping[str, str]
) -> None:
    for other, digest in manifest["inputs"].items():
        if digests.get(other, digest) != digest:
            raise RetuneError(
                f"{reads[kind]}: made from other {other} than {reads[other]}; run `dvc repro`, "
                "which brings all stages to one state"
            )
