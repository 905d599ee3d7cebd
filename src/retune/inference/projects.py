"""The project around a trained model: its params file, and the variant that it was trained as."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retune.core import manifests
from retune.core.errors import RetuneError, excerpt
from retune.core.params import Params
from retune.core.yaml_files import load_yaml

_PARAMS, _GRAPH = "params.yaml", "dvc.yaml"


def params_for(folder: Path, params: str | Path | Params | None, section: str) -> Params | None:
    """Return the params file to use a model with; None if there is none.

    Args:
        folder: with the model.
        params: the file; by default that of the nearest pipeline above `folder` whose params.yaml
            has the section, as the variant of the model, if it has variants.
        section: the task's.

    Raises:
        RetuneError: the file is missing or not YAML.
    """
    if params is not None:
        return params if isinstance(params, Params) else Params(params)
    for around in Path(os.path.abspath(folder)).parents:
        path = around / _PARAMS
        if (around / _GRAPH).is_file() and path.is_file() and section in load_yaml(path):
            return Params(path, variant_of(folder, Params(path)))
    return None


def variant_of(folder: Path, params: Params) -> str | None:
    """Return the variant whose results a folder belongs to, if any.

    A pipeline keeps the results of a variant in `data/<variant>`.
    """
    data = Path(os.path.abspath(params.path.parent), "data")
    place = Path(os.path.abspath(folder))
    name = place.relative_to(data).parts[:1] if place.is_relative_to(data) else ()
    variants = params.values.get("variants", {})
    return next((variant for variant in variants if (variant,) == name), None)


def trained_params(folder: Path, kinds: Mapping[str, type]) -> dict[str, Any] | None:
    """Return the named params that a model was trained with; None if retune did not train it.

    Raises:
        RetuneError: the folder is damaged, or its model was trained for another task.
    """
    if not folder.is_dir():
        raise RetuneError(f"{folder}: no such folder; `dvc repro` trains the models of a pipeline")
    if not (folder / manifests.NAME).is_file():
        return None
    return recorded_params(folder, kinds)


def recorded_params(folder: Path, kinds: Mapping[str, type], hint: str = "") -> dict[str, Any]:
    """Return the named params in the manifest of a folder, after a check of every file.

    Args:
        folder: with a manifest.
        kinds: the params, with their types.
        hint: behind the message that the model is of another task.

    Raises:
        RetuneError: the folder is damaged, or its model was trained for another task.
    """
    found = manifests.read(folder).get("params", {})
    for name, kind in kinds.items():
        if name not in found:
            raise RetuneError(f"{folder}: trained without {name}, so for another task{hint}")
        if not isinstance(found[name], kind):
            raise RetuneError(
                f"{folder / manifests.NAME}: damaged, its {name} is {excerpt(found[name])}, "
                f"expected a {kind.__name__}"
            )
    return {name: found[name] for name in kinds}


def require_texts(texts: Sequence[Any]) -> None:
    """Refuse what is not a text.

    Raises:
        RetuneError: one of `texts` is not.
    """
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise RetuneError(f"text {number} is {excerpt(text)}; give a text")
