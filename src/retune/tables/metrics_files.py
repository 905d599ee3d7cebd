"""Figures of the stages' metrics files."""

from collections.abc import Mapping
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
