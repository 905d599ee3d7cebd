"""What the labels of a file mean, whatever type and spelling its writer gave them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

#: What a label means whose rows are left out.
DROP = "drop"

_WHOLE = re.compile(r"([-+]?\d+)\.0*")


def label_text(value: Any) -> str | None:
    """The text of a label: of a string, a number or a boolean; None of anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def meanings(labels: Mapping[str, str]) -> Callable[[Any], str | None]:
    """The function that tells what a label means by the table `labels`, None if nothing.

    A label that the table does not have as it stands is looked up as a number or as a boolean:
    1.0 is 1, and TRUE is true.
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
