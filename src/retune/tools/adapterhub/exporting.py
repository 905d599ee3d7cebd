"""Write a bundle in the layout of AdapterHub's library."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from retune.adapters.adapter_reuse import BundleParams, bundle_folder
from retune.adapters.bundles import AdapterParts, LoraParts, bundle_weights, described
from retune.adapters.layers import AdapterParams
from retune.core.errors import RetuneError, excerpt, listed
from retune.core.files import atomic_path, read_json, write_json
from retune.tools.adapterhub.heads import OUTPUT, static_head
from retune.tools.adapterhub.layout import (
    ADAPTER,
    FUSION,
    HEAD,
    SETUP,
    VERSION,
    adapter_names,
    fusion_names,
    lora_names,
    to_library,
    write_part,
)

#: The classes of the library's models by `model_type`: it has no CamemBERT.
_CLASSES = {
    "bert": "BertForQuestionAnswering",
    "roberta": "RobertaForQuestionAnswering",
    "xlm-roberta": "XLMRobertaForQuestionAnswering",
}
#: The name of an adapter with LoRA, which has none in a bundle.
LORA = "lora"
#: The subfolder with the head of several adapters.
_HEAD = "head"
_ADAPTED = re.compile(
    r"\.encoder\.layer\.(\d+)\.(?:attention\.self\.(query|key|value)|(intermediate|output)\.dense)"
    r"\.lora_A\.default\.weight"
)
#: What the library writes besides the keys that describe an adapter.
_BOTTLENECK = {
    "adapter_residual_before_ln": False, "cross_adapter": False, "dropout": 0.0,
    "factorized_phm_W": True, "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform", "init_weights": "bert",
    "init_weights_seed": None, "is_parallel": False, "learn_phm": True, "ln_after": False,
    "ln_before": False, "original_ln_after": True, "phm_bias": True, "phm_c_init": "normal",
    "phm_dim": 4, "phm_init_range": 0.0001, "phm_layer": False, "phm_rank": 1,
    "residual_before_ln": True, "scaling": 1.0, "shared_W_phm": False, "shared_phm_rule": True,
    "stochastic_depth": 0.0, "use_gating": False,
}  # fmt: skip
_LORA = {
    "architecture": "lora", "composition_mode": "add", "dtype": None, "init_weights": "lora",
    "init_weights_seed": None, "use_dora": False, "use_gating": False, "vera_b": None,
    "vera_d": None,
}  # fmt: skip
_FUSION = {
    "dropout_prob": None, "key": True, "query": True, "query_before_ln": False,
    "regularization": True, "residual_before": False, "temperature": False, "value": True,
    "value_before_softmax": True, "value_initialized": True,
}  # fmt: skip


class Exported(NamedTuple):
    """What was written: the order of adapters, whether with the head, and remarks."""

    composition: Sequence[str | list[str]]
    has_head: bool
    notes: list[str]


def export_bundle(bundle: Path, out: Path) -> Exported:
    """Write the bundle in the folder `out`.

    Raises:
        RetuneError: there is no sound bundle, or the library has no such adapters.
    """
    folder = bundle_folder(BundleParams(str(bundle), None))
    parts, base = described(folder)
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if model_type not in _CLASSES:
        raise RetuneError(
            f"{bundle}: AdapterHub's library has no adapters for a model of type "
            f"{excerpt(model_type)}; it has them for {listed([*_CLASSES])}"
        )
    about = {
        "hidden_size": config["hidden_size"], "model_class": _CLASSES[model_type],
        "model_name": base.name, "model_type": model_type,
    }  # fmt: skip
    weights = bundle_weights(folder)
    layers = int(config["num_hidden_layers"])
    with atomic_path(out) as target:
        target.mkdir()
        composition: Sequence[str | list[str]] = [LORA]
        if isinstance(parts, LoraParts):
            place = target
            described_part = about | {"config": _lora_config(parts, weights, layers, bundle)}
            _write_adapter(target, described_part, LORA, to_library(weights, lora_names(LORA)))
        else:
            composition = parts.composition
            place = _write_adapters(target, parts, weights, about, layers, bundle)
        head = {name: weight for name, weight in weights.items() if name.startswith(OUTPUT)}
        if head:
            write_part(place, HEAD, static_head(about), head)
        if place != target:
            _write_setup(target, composition, _HEAD if head else None)
    prefix = "bert." if model_type == "bert" else "roberta."
    other = sorted(name for name in weights if name not in head and not name.startswith(prefix))
    notes = [f"its head is left out ({listed(other, 2)}): it answers no questions"] if other else []
    return Exported(composition, bool(head), notes)


def _write_adapters(
    target: Path,
    parts: AdapterParts,
    weights: Mapping[str, Tensor],
    about: Mapping[str, Any],
    layers: int,
    bundle: Path,
) -> Path:
    """Write adapters and fusions; return the folder for the head."""
    _require_possible(parts, bundle)
    first = parts.composition[0]
    lowest = first if isinstance(first, str) else first[0]
    if parts.composition == [lowest]:
        _write_named(target, lowest, parts.adapters[lowest], weights, about, layers)
        return target
    for name, params in parts.adapters.items():
        own = params
        if name != lowest:  # the library would make such layers, and leave them unused
            own = AdapterParams(**{**vars(params), "invertible_reduction": None})
        _write_named(target / name, name, own, weights, about, layers)
    for names in (part for part in parts.composition if isinstance(part, list)):
        joined = ",".join(names)
        description = {**about, "name": joined, "adapter_names": names, "config": _FUSION,
                       "version": VERSION}  # fmt: skip
        fusion = to_library(weights, fusion_names(joined, joined))
        write_part(target / joined, FUSION, description, fusion)
    return target / _HEAD


def _write_named(
    folder: Path, name: str, params: AdapterParams, weights: Mapping[str, Tensor],
    about: Mapping[str, Any], layers: int,
) -> None:  # fmt: skip
    description = {**about, "config": _bottleneck_config(params, layers)}
    _write_adapter(folder, description, name, to_library(weights, adapter_names(name, name)))


def _write_adapter(
    folder: Path, about: Mapping[str, Any], name: str, weights: Mapping[str, Tensor]
) -> None:
    write_part(folder, ADAPTER, {**about, "name": name, "version": VERSION}, weights)


def _write_setup(target: Path, composition: Sequence[str | list[str]], head: str | None) -> None:
    children = [_block(part) for part in composition]
    setup = children[0] if len(children) == 1 else {"type": "Stack", "children": children}
    write_json(target / SETUP, {"adapter_setup": setup, "head_setup": head, "version": VERSION})


def _block(part: str | list[str]) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "single", "children": [part]}
    return {"type": "Fuse", "children": [_block(name) for name in part]}


def _require_possible(parts: AdapterParts, bundle: Path) -> None:
    """Refuse compositions that the library has not, or computes in another way."""
    methods = {params.method for params in parts.adapters.values()}
    if len(methods) > 1:
        raise RetuneError(
            f"{bundle}: its adapters are of different methods ({listed(sorted(methods))}); in a "
            "stack of these, the library's logits would differ from retune's"
        )
    fused = [name for part in parts.composition if isinstance(part, list) for name in part]
    if any(_is_union(parts.adapters[name]) for name in fused):
        raise RetuneError(
            f"{bundle}: fuses adapters with `last_layer: attention`, which AdapterHub's library "
            "cannot fuse; train them with `last_layer: whole` or `none`"
        )


def _is_union(params: AdapterParams) -> bool:
    """Whether an adapter stands in other layers after the attention than at their end."""
    return params.method == "houlsby" and params.last_layer == "attention"


def _bottleneck_config(params: AdapterParams, layers: int) -> dict[str, Any]:
    """Return the library's configuration of an adapter."""
    reduction = params.invertible_reduction
    shared = _BOTTLENECK | {
        "inv_adapter": None if reduction is None else "nice",
        "inv_adapter_reduction_factor": reduction, "non_linearity": params.non_linearity,
        "original_ln_before": params.method == "pfeiffer", "reduction_factor": params.reduction,
    }  # fmt: skip

    def standing(*, attention: bool, output: bool, last: bool) -> dict[str, Any]:
        left_out = [] if last else [layers - 1]
        return shared | {
            "mh_adapter": attention, "output_adapter": output, "leave_out": left_out
        }  # fmt: skip

    if _is_union(params):
        configs = [
            standing(attention=True, output=False, last=True),
            standing(attention=False, output=True, last=False),
        ]
        return {"architecture": "union", "configs": configs}
    return standing(
        attention=params.method == "houlsby", output=True, last=params.last_layer == "whole"
    )


def _lora_config(
    parts: LoraParts, weights: Mapping[str, Tensor], layers: int, bundle: Path
) -> dict[str, Any]:
    """Return the library's configuration of LoRA, from the layers that have its matrices.

    Raises:
        RetuneError: the library cannot put them there, or not in the same places of all layers.
    """
    places: dict[int, set[str]] = {}
    for name in (name for name in weights if name.endswith(".lora_A.default.weight")):
        found = _ADAPTED.search(name)
        if found is None:
            raise RetuneError(
                f"{bundle}: has LoRA's matrices at {name}; AdapterHub's library has them at query, "
                "key, value, intermediate.dense and output.dense of a layer alone"
            )
        places.setdefault(int(found[1]), set()).add(found[2] or found[3])
    kinds = {frozenset(kind) for kind in places.values()}
    if len(kinds) != 1:
        raise RetuneError(
            f"{bundle}: has LoRA's matrices at other places in some layers; AdapterHub's library "
            "has them at the same places of each layer"
        )
    (kind,) = kinds
    matrices = [name[0] for name in ("query", "key", "value") if name in kind]
    return _LORA | {
        "alpha": parts.alpha, "r": parts.rank, "dropout": parts.dropout,
        "attn_matrices": matrices, "selfattn_lora": bool(matrices),
        "intermediate_lora": "intermediate" in kind, "output_lora": "output" in kind,
        "leave_out": [layer for layer in range(layers) if layer not in places],
    }  # fmt: skip
