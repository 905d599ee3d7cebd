"""Settings by which training chooses its best epoch, beside those that the answers are scored by.

`qa.train.evaluation` stands alone, so that a change of `qa.postprocess` or `qa.score` trains
nothing again. A YAML anchor that ties the two does not follow `dvc exp run -S`, nor
`retune sweep`, which set one place.
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
    """Return a sentence where `params`, those of a file, choose the epoch by other settings.

    What is missing or wrongly typed is not spoken of: the stages that read it refuse it.
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
    """Return what stands at nested keys, None where there is no such place."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
