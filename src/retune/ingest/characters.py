"""Characters that a text should not hold."""

import re

from retune.core.errors import excerpt

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def lone_surrogate(text: str) -> str:
    """Describe the first half of a surrogate pair that stands alone; "" if there is none."""
    match = None if text.isascii() else _SURROGATE.search(text)
    if match is None:
        return ""
    return f"half of a surrogate pair, {excerpt(match[0])}, at offset {match.start()}"


def control_characters(text: str) -> str:
    """Describe the control characters other than tab, line feed and return; "" if none."""
    found = _CONTROL.findall(text)
    return f"{len(found)} control characters, the first {excerpt(found[0])}" if found else ""
