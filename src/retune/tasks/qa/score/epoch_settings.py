"""Compare the settings that choose the best epoch with those that score the answers.

`qa.train.evaluation` is a section of its own, so that a change of `qa.postprocess` or `qa.score`
does not train again. A YAML anchor cannot tie the two: `dvc exp run -S` and `retune sweep` change
only one of the places.
"""

import sys
from collections.abc import Mapping
from typing import Any

_PLACES = {
    "normalizer": ("score", "normalizer"),
    "max_answer_length": ("postprocess", "max_answer_length"),
    "null_threshold": ("postprocess", "null_threshold"),  # of SQuAD 2.0 alone
}


def warn_of_other_settings(params: Mapping[str, Any]) -> None:
    """Print a warning if `params`, the values of a file, choose the epoch by other settings."""
    if warning := epoch_warning(params):
        print(warning, file=sys.stderr)


def epoch_warning(params: Mapping[str, Any]) -> str | None:
    """Return a warning if the `params` of a file choose the epoch by other settings.

    Missing and wrongly typed settings are ignored, because the stages that read them refuse them.
    """
    squad_v2 = _at(params, "qa", "squad_v2")
    different = []
    for key, place in _PLACES.items():
        chosen, scored = _at(params, "qa", "train", "evaluation", key), _at(params, "qa", *place)
        if None in (chosen, scored) or (key == "null_threshold" and not squad_v2):
            continue
        if chosen != scored:
            name = ".".join(("qa", *place))
            different.append(f"qa.train.evaluation.{key} is {chosen}, but {name} is {scored}")
    if not different:
        return None
    return (
        f"warning: {'; '.join(different)}. Training keeps the epoch that is best by its own "
        "settings. Give both places the same value; -S sets one, even if they share a YAML anchor"
    )


def _at(value: Any, *keys: str) -> Any:
    """Return the value at nested keys, or None if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
