"""A manifest in a folder: the size and sum of every file when the folder was finished.

DVC trusts a file if its time and size have not changed, and restores from its cache without a
check. Stages check the sums, so that they never read a file that is damaged or of another run.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, excerpt
from retune.core.files import read_json, sha256, write_json
from retune.core.plain_files import State, read_bytes, summed

NAME = "manifest.json"
_SUM = re.compile(r"[0-9a-f]{64}")


def seal(folder: Path, about: Mapping[str, Any]) -> None:
    """Write the manifest of `folder`: the size and SHA-256 of each file, and what is in `about`.

    Call this last, because a folder without a manifest counts as unfinished.
    """
    write_json(folder / NAME, {**about, "files": {f: _sum(folder / f) for f in _files(folder)}})


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of `folder`, after a check of every file.

    Raises:
        RetuneError: a file is missing, changed or not in the manifest, or there is no manifest.
    """
    if not (folder / NAME).is_file():
        raise RetuneError(f"{folder}: has no {NAME}, so it is incomplete")
    manifest: dict[str, Any] = read_json(folder / NAME)
    _require_form(manifest, folder / NAME)
    expected, present = manifest["files"], set(_files(folder))
    if missing := sorted(set(expected) - present):
        raise RetuneError(f"{folder / missing[0]}: missing")
    if strange := sorted(present - set(expected)):
        raise RetuneError(f"{folder / strange[0]}: not written by the stage that wrote {folder}")
    for file in sorted(present):
        if (actual := _sum(folder / file)) != expected[file]:
            raise RetuneError(
                f"{folder / file}: damaged or changed since it was written: {_told(actual)}, "
                f"expected {_told(expected[file])}"
            )
    return manifest


def digest(folder: Path) -> str:
    """Return the SHA-256 of the manifest, which identifies the content of `folder`."""
    return hashlib.sha256(read_bytes(folder / NAME)).hexdigest()


def states(folder: Path) -> dict[Path, State]:
    """Return each file of `folder` with its state when `read` took its sum."""
    return summed([folder / file for file in _files(folder)])


def _require_form(manifest: Any, path: Path) -> None:
    """Refuse a manifest that `seal` cannot have written; it may have come with foreign data."""
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise RetuneError(f"{path}: damaged, it lists no files")
    for part, is_sound in _PARTS.items():
        entries = manifest.get(part, {})
        if not isinstance(entries, dict):
            raise RetuneError(f"{path}: damaged, its {part} are {excerpt(entries)}")
        for name, value in entries.items():
            if not is_sound(value):
                raise RetuneError(
                    f"{path}: damaged, its {part} have {excerpt(value)} for {excerpt(name)}"
                )


def _is_entry(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"bytes", "sha256"}
        and type(value["bytes"]) is int
        and _is_sum(value["sha256"])
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_sum(value: Any) -> bool:
    return isinstance(value, str) and _SUM.fullmatch(value) is not None


def _is_any(value: Any) -> bool:
    return True


_PARTS = {"files": _is_entry, "inputs": _is_text, "params": _is_any}


def _files(folder: Path) -> list[str]:
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if path != NAME)


def _sum(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": sha256(file)}


def _told(entry: Mapping[str, Any]) -> str:
    return f"{entry['bytes']:,} bytes with SHA-256 {entry['sha256'][:12]}..."
