"""Read YAML files of bounded size as DVC does."""

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, excerpt
from retune.core.plain_files import read_bytes

_MOST_BYTES = 8_000_000


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping with the same values that DVC sees; duplicate keys are errors.

    Raises:
        RetuneError: the file is missing, is not YAML, or has values that JSON cannot hold.
    """
    try:
        value = json.loads(_as_json(read_bytes(path, limit=_MOST_BYTES).decode("utf-8-sig")))
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; run from the project's top folder") from None
    except UnicodeDecodeError as error:
        raise RetuneError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (ValueError, TypeError) as error:
        raise RetuneError(f"{path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise RetuneError(f"{path}: nested too deeply to be parameters") from None
    if not isinstance(value, dict):
        raise RetuneError(f"{path}: expected sections (`name: ...`), got {excerpt(value)}")
    return value


@functools.lru_cache(maxsize=2)
def _as_json(text: str) -> str:
    """Return a YAML document as JSON: parsed once, it gives each reader a copy of its own.

    A date, bytes or a loop of aliases has no JSON and would fail later, unnamed.
    """
    from retune.core import checked_yaml  # a slow import

    return json.dumps(checked_yaml.parse(text))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of every leaf; lists and empty mappings are leaves."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value
