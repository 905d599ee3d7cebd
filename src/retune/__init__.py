"""retune: fine-tuning experiments as pipelines whose numbers you can reproduce."""

import importlib
from typing import Any

__version__ = "0.1.0"

#: What can be imported from here, by the module that has it. It is imported when it is first used,
#: because torch takes seconds. `__init__.pyi` has its types.
_MODULES = {
    "Classifier": "retune.inference.classifier",
    "Reader": "retune.inference.reader",
    "TextGenerator": "retune.inference.text_generator",
}
__all__ = [*_MODULES]  # noqa: PLE0604 (its names are strings)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
