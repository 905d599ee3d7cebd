"""Bundles: the weights trained on a frozen encoder, without the encoder.

`insert` freezes a model's encoder and adds adapters (`retune.adapters.layers`) or LoRA's matrices
(Hu et al. 2021) to it. A bundle's folder holds the added weights in `bundle.safetensors`; its
config.json describes them and their base under `bundle`. It has no model.safetensors, so that no
reader mistakes it for a complete model.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel

from retune.adapters.layers import AdapterParams, adapt, check_family
from retune.core.errors import RetuneError, excerpt, listed
from retune.core.files import atomic_path, read_json, sha256, write_json
from retune.core.params import STRICT, Positive
from retune.core.plain_files import require_unchanged, summed
from retune.models.config_safety import check_configuration, explained
from retune.models.encoders import load_encoder
from retune.models.pretrained_files import (
    WEIGHTS,
    PretrainedParams,
    locate,
    quiet_transformers,
    resolve,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FILE = "bundle.safetensors"


def _plain(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError("an adapter's name has lower-case letters, digits and _, a letter first")
    return name


@dataclass(frozen=True, config=STRICT)
class AdapterParts:
    """Adapters by name, and their order: names, and lists of names that are fused."""

    adapters: dict[Annotated[str, AfterValidator(_plain)], AdapterParams]
    composition: Annotated[
        list[str | Annotated[list[str], Field(min_length=2)]], Field(min_length=1)
    ]


@dataclass(frozen=True, config=STRICT)
class LoraParts:
    """LoRA: `alpha / rank` times the product of two matrices is added to each target layer.

    `targets` are endings of the names of linear layers in the encoder.
    """

    rank: Positive
    alpha: Annotated[float, Field(gt=0.0)]
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    targets: Annotated[list[str], Field(min_length=1)]


Parts = AdapterParts | LoraParts
_KINDS: dict[str, type[Any]] = {"adapters": AdapterParts, "lora": LoraParts}


@dataclass(frozen=True, config=STRICT)
class Base:
    """The encoder of a bundle: its name and the SHA-256 of its weights."""

    name: str
    revision: str
    sha256: str
    pickle_sha256: str | None = None


def insert(model: PreTrainedModel, parts: Parts) -> None:
    """Freeze the encoder of `model` and add fresh `parts` to it; the head stays trainable.

    Checkpoints then leave out the encoder's own weights.

    Raises:
        RetuneError: the architecture has no place for them, or the parts do not fit.
    """
    check_family(model.config.model_type)
    own = {id(weight) for weight in model.base_model.state_dict(keep_vars=True).values()}
    model.base_model.requires_grad_(requires_grad=False)
    if isinstance(parts, AdapterParts):
        adapt(model, parts.adapters, [p if isinstance(p, str) else tuple(p) for p in
                                      parts.composition])  # fmt: skip
    else:
        _insert_lora(model, parts)
    frozen: Any = model
    frozen.encoder_is_frozen = True  # `retune.training.trainer` asks for it
    kind = next(kind for kind, each in _KINDS.items() if isinstance(parts, each))
    told = TypeAdapter(type(parts)).dump_python(parts, mode="json")
    model.config.bundle = {"kind": kind, "parts": told}
    names = model.state_dict(keep_vars=True).items()
    model._keys_to_ignore_on_save = {name for name, weight in names if id(weight) in own}


def is_bundle(model: PreTrainedModel) -> bool:
    """Whether `model` has parts from `insert`."""
    return hasattr(model.config, "bundle")


def publish(
    checkpoint: Path, target: Path, tokenizer: "PreTrainedTokenizerFast", base: PretrainedParams
) -> Path:
    """Make a bundle from the `checkpoint` of a model with parts.

    Returns:
        the file that has the weights, which are not checked.
    """
    config = read_json(checkpoint / "config.json")
    below = {"name": base.name, "revision": base.revision, "sha256": weights_sum(base)}
    if base.pickle_sha256 is not None:
        below["pickle_sha256"] = base.pickle_sha256
    config["bundle"]["base"] = below
    with atomic_path(target) as folder:
        folder.mkdir()
        write_json(folder / "config.json", config)
        shutil.copyfile(checkpoint / WEIGHTS, folder / FILE)
        tokenizer.save_pretrained(folder)
    return target / FILE


def weights_sum(base: PretrainedParams) -> str:
    """SHA-256 of the weights of a pinned encoder."""
    weights = resolve(base) / WEIGHTS
    # A revision of 64 digits is that sum, which has just been compared.
    return base.revision if len(base.revision) == 64 else sha256(weights)


def load(folder: Path, auto_class: Any) -> PreTrainedModel:
    """The model of `auto_class` whose bundle is in `folder`, float32 and in evaluation mode.

    Raises:
        RetuneError: the bundle is damaged, or its base is missing or differs.
    """
    parts, base = described(folder)
    encoder = _encoder_below(folder, base)
    _require_like(folder, encoder)
    quiet_transformers()
    with _about(folder), explained("not a complete bundle", "; train it again"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        told = config.bundle
        model = load_encoder(auto_class, encoder, config)
        insert(model, parts)
        _fill(model, bundle_weights(folder), folder)
    model.config.bundle = told
    model.eval()
    return model


def described(folder: Path) -> tuple[Parts, Base]:
    """The parts and the base that config.json in the bundle `folder` describes.

    Raises:
        RetuneError: there is no bundle, or its description is invalid.
    """
    path = folder / "config.json"
    if not (folder / FILE).is_file() or not path.is_file():
        raise RetuneError(
            f"{folder}: no bundle there (config.json and {FILE}); run the pipeline that trains it, "
            "such as `cd pipelines/adapters && dvc repro`"
        )
    check_configuration(folder)
    told = read_json(path).get("bundle")
    if not isinstance(told, dict) or told.get("kind") not in [*_KINDS]:
        raise RetuneError(f"{path}: names no known kind of bundle; allowed: {listed([*_KINDS])}")
    parts: Parts = _read(_KINDS[told["kind"]], told.get("parts"), path)
    return parts, _read(Base, told.get("base"), path)


def bundle_weights(folder: Path) -> dict[str, Tensor]:
    """The weights in the bundle `folder`, by name."""
    with explained(f"{folder / FILE}: damaged", "; train it again"):
        weights = load_file(folder / FILE)
    require_unchanged(summed([folder / FILE]))
    return weights


def inserted(model: nn.Module) -> Iterator[tuple[list[str], Tensor]]:
    """The added weights of `model`, each with all its names."""
    own: Any = model._keys_to_ignore_on_save
    names: dict[int, list[str]] = {}
    weights = model.state_dict(keep_vars=True)
    for name, weight in weights.items():
        names.setdefault(id(weight), []).append(name)
    return ((group, weights[group[0]]) for group in names.values() if group[0] not in own)


def _insert_lora(model: PreTrainedModel, parts: LoraParts) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    encoder: nn.Module = model.base_model
    linear = [name for name, part in encoder.named_modules() if isinstance(part, nn.Linear)]
    for target in parts.targets:
        if not any(f".{name}".endswith(f".{target}") for name in linear):
            endings = sorted({name.rpartition(".")[2] for name in linear})
            raise RetuneError(
                f"no linear layer of the encoder has a name that ends in {excerpt(target)}; LoRA's "
                f"targets may be {listed(endings)}"
            )
    config = LoraConfig(
        r=parts.rank,
        lora_alpha=parts.alpha,  # type: ignore[arg-type]  # any number, says its code
        lora_dropout=parts.dropout,
        target_modules=parts.targets,
    )
    inject_adapter_in_model(config, encoder)


def _read(kind: Any, value: Any, path: Path) -> Any:
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        wrong = [
            f"{'.'.join(['bundle', *map(str, each['loc'])])}: {each['msg']}, got "
            f"{excerpt(each['input'])}"
            for each in error.errors()
        ]
        raise RetuneError(f"{path}: {listed(wrong, 2)}; train it again") from None


def _encoder_below(folder: Path, base: Base) -> Path:
    try:
        named = PretrainedParams(base.name, base.revision, base.pickle_sha256)
        encoder = locate(named, "bundle.base")
    except (RetuneError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise RetuneError(
            f"{folder}: was trained on the encoder {base.name}, which is missing: {reason}"
        ) from None
    found = sha256(encoder / WEIGHTS)
    if found != base.sha256:
        raise RetuneError(
            f"{folder}: was trained on {base.name} with SHA-256 {base.sha256}, but "
            f"{encoder / WEIGHTS} has {found}; bring that encoder back, or train again on this"
        )
    return encoder


def _require_like(folder: Path, encoder: Path) -> None:
    here, below = (read_json(path / "config.json") for path in (folder, encoder))
    for name in ("model_type", "hidden_size", "num_hidden_layers"):
        if here.get(name) != below.get(name):
            raise RetuneError(
                f"{folder}: is for an encoder with {name} {excerpt(here.get(name))}, but "
                f"{encoder} has {excerpt(below.get(name))}; train it on this encoder"
            )


@contextmanager
def _about(folder: Path) -> Iterator[None]:
    """Prefix messages with the bundle."""
    try:
        yield
    except RetuneError as error:
        text = str(error)
        raise RetuneError(text if text.startswith(str(folder)) else f"{folder}: {text}") from None


def _fill(model: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Copy the weights of a file, which must be exactly the added ones, into `model`."""
    places = list(inserted(model))
    known = {name for names, _ in places for name in names}
    missing = [names[0] for names, _ in places if not weights.keys() & set(names)]
    for what, names in [("lacks", missing), ("has unexpected", sorted(weights.keys() - known))]:
        if names:
            raise RetuneError(f"{folder / FILE}: {what} {listed(names, 3)}; train it again")
    with torch.no_grad():
        for names, place in places:
            copy(weights[next(name for name in names if name in weights)], place, names[0], folder)


def copy(value: Tensor, place: Tensor, name: str, folder: Path) -> None:
    """Copy a weight of the bundle `folder` to its place, which must have the same shape."""
    if value.shape != place.shape:
        raise RetuneError(
            f"{folder / FILE}: {name} has shape {tuple(value.shape)}, expected "
            f"{tuple(place.shape)}; it was trained with other sizes"
        )
    place.copy_(value)
