"""Find out what the labels of a file mean, whatever their type and spelling."""

import re
from collections.abc import Callable, Mapping
from typing import Any

#: The meaning of labels whose rows are left out.
DROP = "drop"

_WHOLE = re.compile(r"([-+]?\d+)\.0*")


def label_text(value: Any) -> str | None:
    """Return a string, number or boolean as text, and None for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def meanings(labels: Mapping[str, str]) -> Callable[[Any], str | None]:
    """Return a function that looks up the meaning of a label in `labels`; None if it has none.

    A label that is not in the table is also looked up as a number or boolean: 1.0 is 1, and TRUE is
    true.
    """
    plain = {_plain(label): meaning for label, meaning in labels.items()}

    def meaning(value: Any) -> str | None:
        text = label_text(value)
        if text is None or text in labels:
            return None if text is None else labels[text]
        return plain.get(_plain(text))

    return meaning


def _plain(text: str) -> str:
    whole = _WHOLE.fullmatch(text)
    if whole:
        return whole[1]
    return text.lower() if text.lower() in ("true", "false") else text
