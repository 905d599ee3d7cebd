"""Change YAML files in place; comments, order and style stay as they are."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.files import atomic_path


@contextmanager
def edited(path: Path) -> Iterator[Any]:
    """Yield the document in a YAML file, and write it back if the block succeeds."""
    from ruamel.yaml import YAML

    parser = YAML()  # with the layout that DVC writes
    parser.default_flow_style = False
    document = parser.load(path.read_text(encoding="utf-8"))
    yield document
    with atomic_path(path) as temporary:
        parser.dump(document, temporary)


def set_values(path: Path, values: Mapping[str, Any]) -> None:
    """Set values by dotted name in a YAML file, as `dvc exp run -S` does.

    A mapping is merged into the mapping that is there; any other value replaces the old one.

    Raises:
        RetuneError: the file has no such key.
    """
    with edited(path) as document:
        for key, value in values.items():
            try:
                _set(document, key.split("."), value)
            except (LookupError, TypeError):
                raise RetuneError(f"{path.name}: {key}: unknown key; correct its name") from None


def _set(document: Any, names: list[str], value: Any) -> None:
    for name in names[:-1]:
        document = document[name]
    old = document[names[-1]]
    if isinstance(value, dict) and isinstance(old, dict):
        for name, item in value.items():
            _set(old, [name], item)
    else:
        document[names[-1]] = value
