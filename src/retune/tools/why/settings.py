"""Compare the params of a stage in dvc.lock with their present values."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from retune.core.yaml_files import flatten
from retune.tools.project.graph import joined
from retune.tools.project.locks import PARAMS

#: The value of a param that does not exist.
GONE: Any = object()


def changes(
    read: Callable[[str], dict[str, Any]],
    base: PurePosixPath,
    listed: Any,
    locked: Mapping[str, Any],
) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield file, dotted name, old and new value (or `GONE`) of each changed param.

    Args:
        read: returns the content of a params file.
        base: the stage's folder, to which its paths are relative.
        listed: the stage's `params:` in dvc.yaml.
        locked: the stage's `params:` in dvc.lock.
    """
    before = {joined(base, file): values for file, values in locked.items()}
    for file, names in _by_file(listed).items():
        path = joined(base, file)
        values, old = read(path), before.get(path, {})
        wanted = names or list(dict.fromkeys([*values, *old]))
        then = dict(flatten({name: old[name] for name in wanted if name in old}))
        looked_up = {name: value_of(values, name) for name in wanted}
        now = dict(flatten({name: v for name, v in looked_up.items() if v is not GONE}))
        yield from ((path, *change) for change in _differences(then, now))


def value_of(values: Any, name: str) -> Any:
    """Return the value at a dotted name (lists: `a.0`, `a[0]`), or `GONE`."""
    for key in re.split(r"[.\[\]]+", name.rstrip("]")):
        if isinstance(values, list) and key.isdecimal() and int(key) < len(values):
            values = values[int(key)]
        elif isinstance(values, dict) and key in values:
            values = values[key]
        else:
            return GONE
    return values


def _by_file(listed: Any) -> dict[str, list[str]]:
    """Return the names of params by file; no names mean the whole file."""
    found: dict[str, list[str]] = {}
    for entry in listed or ():
        files = entry if isinstance(entry, dict) else {PARAMS: [entry]}
        for file, names in files.items():
            found.setdefault(str(file), []).extend(map(str, names or ()))
    return found


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys([*now, *then]):
        old, new = then.get(name, GONE), now.get(name, GONE)
        # An empty section (`{}`) is replaced by its new params.
        filled = (old, new) in (({}, GONE), (GONE, {})) and any(
            other.startswith(f"{name}.") for other in (*then, *now)
        )
        if old != new and not filled:
            yield name, old, new
