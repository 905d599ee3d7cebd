"""One sum of the code of a project."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retune.core.plain_files import sha256
from retune.preflight.validation import GRAPH
from retune.tools.project.locks import VERSIONS

#: What the digest covers.
CODE = ("src", "stages", GRAPH, VERSIONS)


def code_digest(folder: Path) -> str:
    """Return the SHA-256 of the code, the graph and the versions of a project."""
    total = hashlib.sha256()
    for path in _files(folder):
        total.update(f"{sha256(path)} {path.relative_to(folder).as_posix()}\n".encode())
    return total.hexdigest()


def short_sum(values: Any, data: Sequence[str]) -> str:
    """Return a short sum of settings, the code here, and the sums of data."""
    text = json.dumps([values, code_digest(Path()), data], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _files(folder: Path) -> list[Path]:
    found = []
    for name in CODE:
        top = folder / name
        found += [path for path in (top, *top.rglob("*")) if path.is_file()]
    return sorted(path for path in found if "__pycache__" not in path.parts)
