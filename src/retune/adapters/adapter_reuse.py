"""Adapters from other bundles, frozen below a stack or in a fusion."""

from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import PreTrainedModel

from retune.adapters.bundles import (
    FILE,
    AdapterParts,
    Base,
    bundle_weights,
    copy,
    described,
    insert,
)
from retune.adapters.layers import AdapterParams
from retune.core import manifests
from retune.core.errors import RetuneError, listed
from retune.core.files import read_json, sha256
from retune.core.params import STRICT
from retune.models.pretrained_files import WEIGHTS

#: The name of an adapter below a stack or a fusion.
LANGUAGE = "language"


@dataclass(frozen=True, config=STRICT)
class BundleParams:
    """A bundle in params: its folder, and the SHA-256 of its bundle.safetensors.

    If the sum is null, DVC must watch the folder. A manifest in the folder is checked either way.
    """

    path: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


class StoredAdapter(NamedTuple):
    """The last adapter of a bundle."""

    name: str
    params: AdapterParams
    composition: list[str | list[str]]  # of the bundle, this adapter last
    base: Base

    @property
    def language(self) -> str | None:
        """The adapter below it in training, if any."""
        first = self.composition[0]
        return first if len(self.composition) > 1 and isinstance(first, str) else None


def bundle_folder(params: BundleParams) -> Path:
    """The folder that `params` name, verified if they pin it.

    Raises:
        RetuneError: it has no bundle, a bundle that is not the pinned one, or one that has changed.
    """
    folder = Path(params.path)
    described(folder)
    if params.sha256 is not None and (found := sha256(folder / FILE)) != params.sha256:
        raise RetuneError(
            f"{folder / FILE} has SHA-256 {found}, but params ask for {params.sha256}; if this "
            f"file is the one you want, put `sha256: {found}` into params.yaml"
        )
    if (folder / manifests.NAME).is_file():  # a bundle that was handed on may have none
        try:
            manifests.read(folder)
        except RetuneError as error:
            raise RetuneError(f"{error}; train it again, or copy it here again") from None
    return folder


def adapter_params(folder: Path) -> StoredAdapter:
    """The last adapter of the bundle `folder`, which may be stacked on a language's.

    Raises:
        RetuneError: the bundle has LoRA's matrices, or ends in a fusion.
    """
    parts, base = described(folder)
    if not isinstance(parts, AdapterParts):
        raise RetuneError(f"{folder}: is a LoRA bundle; give a bundle with an adapter")
    last = parts.composition[-1] if parts.composition else []
    if not isinstance(last, str):
        raise RetuneError(
            f"{folder}: ends in a fusion of {listed(last)}; give one that ends in a single adapter"
        )
    if last not in parts.adapters:
        raise RetuneError(f"{folder / 'config.json'}: does not describe the adapter {last}")
    return StoredAdapter(last, parts.adapters[last], parts.composition, base)


def insert_on(
    model: PreTrainedModel, language: Path | None, name: str, params: AdapterParams, *, base: Path
) -> None:
    """Add a fresh adapter `name` to `model`, on top of the bundle `language`'s, if any.

    Raises:
        RetuneError: as for `retune.adapters.bundles.insert` and `load_adapter`.
    """
    if language is None:
        insert(model, AdapterParts({name: params}, [name]))
        return
    adapters = {LANGUAGE: adapter_params(language).params, name: params}
    insert(model, AdapterParts(adapters, [LANGUAGE, name]))
    load_adapter(model, language, LANGUAGE, base=base)


def load_adapter(model: PreTrainedModel, folder: Path, name: str, *, base: Path) -> None:
    """Copy the last adapter of the bundle `folder` into the adapter `name` of `model`; freeze it.

    The configuration of `model` then has the bundle's SHA-256 under `bundle`, `sources`.

    Args:
        model: with parts (`retune.adapters.bundles.insert`).
        folder: the other bundle.
        name: an adapter of `model` with the params from `adapter_params`.
        base: the folder of the encoder of `model`.

    Raises:
        RetuneError: the adapter was trained on another encoder, or has another hidden size or
            other layers than the adapter `name`.
    """
    stored = adapter_params(folder)
    size = read_json(folder / "config.json").get("hidden_size")
    if size != model.config.hidden_size:
        raise RetuneError(
            f"{folder}: its adapter {stored.name} is for a hidden size of {size}, but the encoder "
            f"has {model.config.hidden_size}; train it on this encoder"
        )
    if (found := sha256(base / WEIGHTS)) != stored.base.sha256:
        raise RetuneError(
            f"{folder}: its adapter {stored.name} was trained on {stored.base.name} (SHA-256 "
            f"{stored.base.sha256}), but the encoder here is {base} ({found}); train it on this one"
        )
    weights = {
        _renamed(key, stored.name, name): value
        for key, value in bundle_weights(folder).items()
        if _belongs(key, stored.name)
    }
    places = {key: weight for key, weight in model.named_parameters() if _belongs(key, name)}
    if weights.keys() != places.keys():
        differing = sorted(weights.keys() ^ places.keys())
        raise RetuneError(
            f"{folder}: its adapter {stored.name} has other layers than the adapter {name} here: "
            f"{listed(differing, 3)}; only the first adapter of a stack may have invertible layers"
        )
    with torch.no_grad():
        for key, place in places.items():
            copy(weights[key], place, key, folder)
            place.requires_grad = False
    model.config.bundle.setdefault("sources", {})[name] = sha256(folder / FILE)


def _belongs(key: str, adapter: str) -> bool:
    return any(f".{kind}.{adapter}." in key for kind in ("adapters", "invertible"))


def _renamed(key: str, old: str, new: str) -> str:
    for kind in ("adapters", "invertible"):
        key = key.replace(f".{kind}.{old}.", f".{kind}.{new}.")
    return key
