"""Heads for question answering in AdapterHub's library, which has two forms of them.

Models of transformers have a static head (`qa_outputs`). The library's own models have named
("flexible") heads, whose configuration says what they compute.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from retune.core.errors import RetuneError
from retune.tools.adapterhub.layout import HEAD, VERSION, read_weights

#: The beginning of the names of the head's weights in a bundle.
OUTPUT = "qa_outputs."
_ENDINGS = ("weight", "bias")


def head_weights(about: Mapping[str, Any], folder: Path) -> tuple[dict[str, Tensor], str]:
    """Return the weights of the head in `folder` by their names in a bundle, or why it is left out.

    Raises:
        RetuneError: its file is damaged.
    """
    if reason := _unusable(about):
        return {}, reason
    weights = read_weights(folder, HEAD)
    found = {
        f"{OUTPUT}{ending}": weight
        for ending in _ENDINGS
        for name, weight in weights.items()
        if name.endswith(f".{ending}")
    }
    if len(weights) != len(_ENDINGS) or len(found) != len(_ENDINGS):
        raise RetuneError(
            f"{folder / HEAD.config}: a head for question answering has a weight and a bias, but "
            f"its file has {', '.join(sorted(weights)) or 'none'}; copy the folder again"
        )
    return found, ""


def static_head(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a static head; both kinds of models load it."""
    labels = {"LABEL_0": 0, "LABEL_1": 1}
    return {**about, "name": None, "config": None, "num_labels": 2, "label2id": labels,
            "version": VERSION}  # fmt: skip


def _unusable(about: Mapping[str, Any]) -> str:
    """Why a head cannot be that of a reader; "" if it can."""
    config = about.get("config")
    if not isinstance(config, dict):
        model = str(about.get("model_class"))
        return "" if model.endswith("ForQuestionAnswering") else f"it is the head of {model}"
    kind, layers, labels = (config.get(key) for key in ("head_type", "layers", "num_labels"))
    if kind != "question_answering":
        return f"it is a head for {kind}, not for question answering"
    if (layers, labels) != (1, 2):
        return f"it has {layers} layers and {labels} outputs; retune's readers have 1 and 2"
    return ""
