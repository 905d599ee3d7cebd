"""Figures of the stages' metrics files."""

from collections.abc import Iterable, Mapping
from typing import Any


def figures_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of the one task in a metrics file.

    They are plain values, or in the only row of `details`, because DVC's tables leave out lists.

    Raises:
        ValueError: it holds several tasks, or none.
    """
    (values,) = content.values()
    rows = values.get("details")
    has_row = isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict)
    return {**(rows[0] if has_row else {}), **values}


def scored_splits(splits: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries, of a download stage's `splits`, that headline figures are computed on.

    They are those of `test`, or of `validation` if there is no test split.
    """
    found = list(splits)
    scored = "test" if any(split["split"] == "test" for split in found) else "validation"
    return [split for split in found if split["split"] == scored]
