"""The identity of a training: two runs with the same key have the same result."""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retune.core import manifests
from retune.core.files import sha256

#: Folders of a task that hold modules for params to choose among.
_CHOICES = ("models", "datasets", "augmenting", "vocabularies")


def run_key(settings: Mapping[str, Any], *folders: Path) -> str:
    """Hash what identifies a training: `settings`, the sealed `folders` that it reads, and code."""
    everything = {
        "code": [(path.name, sha256(path)) for path in code_files()],
        "data": [manifests.digest(folder) for folder in folders],
        "settings": settings,
    }
    text = json.dumps(everything, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def code_files() -> list[Path]:
    """The running stage script, and all modules of the rooms that it has imported from.

    Of modules that params choose among, only the imported ones count, so that an edit of one
    variant leaves the checkpoints of the others usable.
    """
    loaded = [
        Path(module.__file__)
        for name, module in sys.modules.items()
        if name.startswith("retune.") and module.__file__ is not None
    ]
    files = {file for file in loaded if _is_chosen_by_params(file)}
    rooms = {file.parent for file in set(loaded) - files}
    script = sys.modules["__main__"].__spec__
    if script is not None and script.name.startswith("stages.") and script.origin is not None:
        files.add(Path(script.origin))
    return sorted(files.union(*(room.glob("*.py") for room in rooms)))


def _is_chosen_by_params(file: Path) -> bool:
    return file.parts[-4] == "tasks" and file.parent.name in _CHOICES
