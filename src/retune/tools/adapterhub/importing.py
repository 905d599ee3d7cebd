"""Read what AdapterHub's library saved, by the names of a bundle."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from retune.adapters.bundles import AdapterParts, LoraParts, Parts
from retune.adapters.layers import AdapterParams, check_family
from retune.core.errors import RetuneError, listed
from retune.core.files import sha256
from retune.tools.adapterhub.configurations import (
    bottleneck_params,
    check_fusion,
    is_lora,
    lora_params,
    method_config,
)
from retune.tools.adapterhub.contents import Contents, Order
from retune.tools.adapterhub.encoder import Encoder, require_same_encoder
from retune.tools.adapterhub.heads import head_weights
from retune.tools.adapterhub.layout import (
    ADAPTER,
    FUSION,
    HEAD,
    Files,
    adapter_names,
    fusion_names,
    lora_names,
    read_object,
    read_weights,
    to_bundle,
    weights_file,
)


@dataclass
class Import:
    """What is imported, and from where: parts, weights, sums of the files, and remarks.

    The weights have the names of a bundle, without the prefix of the encoder.
    """

    folder: Path
    parts: Parts
    weights: dict[str, Tensor] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    has_head: bool = False

    @property
    def model(self) -> str:
        """The model of `qa.model` that trains such a bundle."""
        if isinstance(self.parts, LoraParts):
            return "bert_lora"
        is_fusion = isinstance(self.parts.composition[-1], list)
        return "bert_adapter_fusion" if is_fusion else "bert_adapter"


@dataclass(frozen=True)
class Saved:
    """An adapter that the library saved."""

    name: str
    folder: Path
    about: Mapping[str, Any]

    @property
    def where(self) -> Path:
        """The file that describes it."""
        return self.folder / ADAPTER.config

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration of its method."""
        return method_config(self.about, self.where)


def collect(
    contents: Contents, order: Order, head: Path | None, encoder: Encoder, *, renamed: bool
) -> Import:
    """Read the adapters, fusions and head that a bundle is to have.

    Args:
        contents: of the folder.
        order: of the adapters.
        head: the folder of the head, if there is one.
        encoder: below the adapters.
        renamed: whether the user says that the encoder is the adapters', whatever its name is.

    Raises:
        RetuneError: a file is damaged, retune has not such an adapter, or the encoder is another.
    """
    check_family(str(encoder.config.get("model_type")))
    folders = {name: contents.adapters[name] for part in order for name in part}
    saved = [Saved(n, f, read_object(f / ADAPTER.config)) for n, f in folders.items()]
    for each in saved:
        require_same_encoder(each.about, encoder, each.where, renamed=renamed)
    if not any(is_lora(each.config) for each in saved):
        found = _collect_adapters(contents, order, saved, encoder)
    elif len(saved) == 1:
        found = _collect_lora(saved[0], encoder)
    else:
        raise RetuneError(
            f"{contents.folder}: LoRA among the adapters {listed([*folders])}; retune has no "
            "stacks or fusions of LoRA. Give one adapter with --stack"
        )
    if head is not None:
        _add_head(found, head)
    return found


def bundle_name(name: str) -> str:
    """Return the name in a bundle: lower-case letters, digits and _, a letter first."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return plain if re.match("[a-z]", plain) else f"adapter_{plain}".rstrip("_")


def _collect_lora(saved: Saved, encoder: Encoder) -> Import:
    version = str(saved.about.get("version", ""))
    found = Import(saved.folder, lora_params(saved.config, encoder.layers, saved.where, version))
    _read(found, saved.folder, ADAPTER, lora_names(saved.name))
    return found


def _collect_adapters(
    contents: Contents, order: Order, saved: Sequence[Saved], encoder: Encoder
) -> Import:
    ours = _unique([each.name for each in saved])
    params = {ours[each.name]: _params(each, encoder) for each in saved}
    methods = {each.method for each in params.values()}
    if len(methods) > 1:
        raise RetuneError(
            f"{contents.folder}: the adapters {listed([*ours])} are of different methods "
            f"({listed(sorted(methods))}); in a stack of these, retune's logits would differ from "
            "the library's"
        )
    composition: list[str | list[str]] = [
        [ours[name] for name in part] if len(part) > 1 else ours[part[0]] for part in order
    ]
    found = Import(contents.folder, AdapterParts(params, composition))
    for each in saved:
        _read(found, each.folder, ADAPTER, adapter_names(each.name, ours[each.name]))
    for part in (part for part in order if len(part) > 1):
        folder = contents.fusions[part]
        about = read_object(folder / FUSION.config)
        check_fusion(about, folder / FUSION.config)
        joined = ",".join(ours[name] for name in part)
        theirs = str(about.get("name", ",".join(part)))
        _read(found, folder, FUSION, fusion_names(theirs, joined))
    found.parts = AdapterParts(_without_unused(found, params), composition)
    return found


def _without_unused(found: Import, params: Mapping[str, AdapterParams]) -> dict[str, AdapterParams]:
    """Drop weights that the library saves and does not use, and return the params that are left.

    These are invertible layers of any adapter but the first, those of task adapters of
    adapter-transformers 1, which are described and not saved, and fusions in a last layer without
    adapters.
    """
    used = dict(params)
    for number, (name, each) in enumerate(params.items()):
        layers = [key for key in found.weights if key.startswith(f"invertible.{name}.")]
        if each.invertible_reduction is None or (number == 0 and layers):
            continue
        used[name] = AdapterParams(**{**vars(each), "invertible_reduction": None})
        for key in layers:
            del found.weights[key]
        if layers:
            found.notes.append(
                f"the invertible layers of {name} are left out: only the lowest adapter's are used"
            )
    standing = {key.partition(".adapters.")[0] for key in found.weights if ".adapters." in key}
    for key in [key for key in found.weights if ".fusions." in key]:
        if key.partition(".fusions.")[0] not in standing:
            del found.weights[key]
    return used


def _params(saved: Saved, encoder: Encoder) -> AdapterParams:
    size, is_old = int(encoder.config["hidden_size"]), "version" not in saved.about
    return bottleneck_params(saved.config, size, encoder.layers, saved.where, is_old=is_old)


def _unique(names: Sequence[str]) -> dict[str, str]:
    """Return the name in the bundle of each adapter."""
    ours: dict[str, str] = {}
    for name in names:
        number, free = 1, bundle_name(name)
        while free in ours.values():
            number += 1
            free = f"{bundle_name(name)}_{number}"
        ours[name] = free
    return ours


def _read(found: Import, folder: Path, files: Files, names: Sequence[tuple[str, str]]) -> None:
    """Add the weights of a folder by their names in the bundle, without the encoder's prefix."""
    path = weights_file(folder, files)
    found.weights |= to_bundle(read_weights(folder, files), names, path)
    _note_sources(found, folder, files)


def _note_sources(found: Import, folder: Path, files: Files) -> None:
    """Keep the sums of a configuration and its weights."""
    for each in (folder / files.config, weights_file(folder, files)):
        found.sources[f"{folder.name}/{each.name}"] = sha256(each)


def _add_head(found: Import, folder: Path) -> None:
    about = read_object(folder / HEAD.config)
    weights, reason = head_weights(about, folder)
    if reason:
        found.notes.append(f"{folder / HEAD.config}: left out, {reason}")
        return
    found.weights |= weights
    found.has_head = True
    _note_sources(found, folder, HEAD)
