"""Configurations of AdapterHub's library as params of a bundle; others are refused by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from retune.adapters.bundles import LoraParts
from retune.adapters.layers import AdapterParams
from retune.core.errors import RetuneError, excerpt

Config = Mapping[str, Any]

_SUPPORTED = (
    "retune imports sequential bottleneck adapters (seq_bn, double_seq_bn, seq_bn_inv, "
    "double_seq_bn_inv), LoRA (lora) and the fusion `dynamic`"
)
#: Keys that decide what a bottleneck adapter computes: the value that retune's layers have, and
#: what another value means.
_BOTTLENECK: dict[str, tuple[Any, str]] = {
    "is_parallel": (False, "a parallel adapter"),
    "phm_layer": (False, "a Compacter"),
    "scaling": (1.0, "an adapter with scaling"),
    "use_gating": (False, "an adapter with a gate, as in UniPELT"),
    "cross_adapter": (False, "an adapter of a decoder"),
    "ln_before": (False, "an adapter with a normalization of its own"),
    "ln_after": (False, "an adapter with a normalization of its own"),
    "original_ln_after": (True, "an adapter behind the layer's normalization"),
    "residual_before_ln": (True, "an adapter with another residual connection"),
}
_LORA: dict[str, tuple[Any, str]] = {
    "composition_mode": ("add", "(IA)^3"),
    "use_dora": (False, "DoRA"),
    "vera_d": (None, "VeRA"),
    "vera_b": (None, "VeRA"),
    "use_gating": (False, "LoRA with a gate, as in UniPELT"),
    "dtype": (None, "LoRA in a precision of its own"),
}
_FUSION: dict[str, tuple[Any, str]] = {
    "key": (True, "a fusion without keys"),
    "query": (True, "a fusion without queries"),
    "value": (True, "the fusion `static`, without values"),
    "query_before_ln": (False, "a fusion with another query"),
    "residual_before": (False, "a fusion with another residual connection"),
    "temperature": (False, "a fusion with a temperature"),
    "value_before_softmax": (True, "a fusion with values behind the attention"),
}
#: Keys that count in training alone, or only beside a key that is refused.
_FREE = {
    *("init_weights", "init_weights_seed", "dropout", "stochastic_depth", "architecture"),
    *("adapter_residual_before_ln", "attention_type", "phm_dim", "factorized_phm_W"),
    *("shared_W_phm", "shared_phm_rule", "factorized_phm_rule", "phm_c_init", "phm_init_range"),
    *("learn_phm", "hypercomplex_nonlinearity", "phm_rank", "phm_bias"),
    *("dropout_prob", "regularization", "value_initialized"),
}
_SHAPE = {
    *("mh_adapter", "output_adapter", "original_ln_before", "leave_out", "reduction_factor"),
    *("non_linearity", "inv_adapter", "inv_adapter_reduction_factor", "invertible_adapter"),
}
_LORA_SHAPE = {
    *("selfattn_lora", "intermediate_lora", "output_lora", "leave_out", "r", "alpha"),
    "attn_matrices",
}
_ARCHITECTURES = {
    "prefix_tuning": "prefix tuning",
    "prompt_tuning": "prompt tuning",
    "reft": "ReFT",
    "mtl_lora": "MTL-LoRA",
}
#: Activations that transformers has under another name.
_ACTIVATIONS = {"leakyrelu": "leaky_relu"}
#: Old files without a version have other names.
_OLD_ACTIVATIONS = {"gelu": "gelu_new", "gelu_orig": "gelu"}
_MATRICES = {"q": "query", "k": "key", "v": "value"}


def is_lora(config: Config) -> bool:
    """Whether a configuration is of LoRA, or of a method that the library derives from it."""
    return config.get("architecture") == "lora"


def method_config(about: Config, where: Path) -> Config:
    """Return the configuration of the method in the description of an adapter.

    Raises:
        RetuneError: there is none, or it is of a method that retune has not.
    """
    config = about.get("config")
    if not isinstance(config, dict):
        raise RetuneError(
            f"{where}: config is {excerpt(config)}, expected the keys of the adapter; save it "
            "again with the latest release of `adapters`"
        )
    architecture = config.get("architecture")
    if architecture in _ARCHITECTURES:
        _refuse(where, f"{_ARCHITECTURES[architecture]} (architecture: {architecture})")
    if architecture not in (None, "bottleneck", "lora", "union"):
        _refuse(where, f"an unknown method (architecture: {excerpt(architecture)})")
    return config


def bottleneck_params(
    config: Config, hidden_size: int, layers: int, where: Path, *, is_old: bool
) -> AdapterParams:
    """Return the params of a bottleneck adapter.

    Args:
        config: from `method_config`, not of LoRA.
        hidden_size: of the encoder.
        layers: how many layers the encoder has.
        where: the file, for messages.
        is_old: whether the file has no version, so that its activations have other names.

    Raises:
        RetuneError: the adapter computes something that retune's layers do not.
    """
    configs = _united(config, where)
    for each in configs:
        _check(each, _BOTTLENECK, _SHAPE, where)
    places = {
        place: [
            n for each in configs if _flag(each, key, where) for n in _kept(each, layers, where)
        ]
        for place, key in (("attention", "mh_adapter"), ("output", "output_adapter"))
    }
    method, last_layer = _method(places, layers, where)
    first = configs[0]
    if _flag(first, "original_ln_before", where, default=False) != (method == "pfeiffer"):
        _refuse(where, f"a {method} adapter with another original_ln_before")
    activation = str(first.get("non_linearity")).lower()
    if is_old:
        activation = _OLD_ACTIVATIONS.get(activation, activation)
    try:
        return AdapterParams(
            method=method,  # type: ignore[arg-type]
            reduction=_reduction(first.get("reduction_factor"), hidden_size, where),
            non_linearity=_ACTIVATIONS.get(activation, activation),
            last_layer=last_layer,  # type: ignore[arg-type]
            invertible_reduction=_invertible(first, where),
        )
    except ValidationError as error:
        raise RetuneError(f"{where}: non_linearity: {error.errors()[0]['msg']}") from None


def lora_params(config: Config, layers: int, where: Path, version: str) -> LoraParts:
    """Return the params of LoRA.

    Args:
        config: from `method_config`, of LoRA.
        layers: how many layers the encoder has.
        where: the file, for messages.
        version: of the library that wrote it. Before 1.1 it did not scale by alpha.

    Raises:
        RetuneError: it is another method that the library derives from LoRA.
    """
    _check(config, _LORA, _LORA_SHAPE, where)
    places = []
    if _flag(config, "selfattn_lora", where, default=True):
        matrices = config.get("attn_matrices", ["q", "v"])
        if not isinstance(matrices, list) or not set(map(str, matrices)) <= _MATRICES.keys():
            _refuse(where, f"LoRA on other matrices (attn_matrices: {excerpt(matrices)})")
        places += [f"attention.self.{_MATRICES[m]}" for m in "qkv" if m in matrices]
    if _flag(config, "intermediate_lora", where, default=False):
        places.append("intermediate.dense")
    if _flag(config, "output_lora", where, default=False):
        places.append("output.dense")
    kept = _kept(config, layers, where)
    # `output.dense` alone would also be the end of `attention.output.dense`.
    targets = [f"{layer}.{place}" for layer in kept for place in places]
    if len(kept) == layers and "output.dense" not in places:
        targets = [place.removeprefix("attention.self.") for place in places]
    rank, alpha = config.get("r", 8), config.get("alpha", 8)
    if not _is_number(rank) or not _is_number(alpha) or rank < 1 or alpha <= 0 or not targets:
        _refuse(where, f"LoRA with r {excerpt(rank)}, alpha {excerpt(alpha)}, on {targets}")
    dropout = config.get("dropout", 0.0)
    scaled = rank if _is_unscaled(version) else alpha
    return LoraParts(int(rank), float(scaled), float(dropout or 0.0), targets)


def check_fusion(about: Config, where: Path) -> None:
    """Check that a fusion computes what retune's does.

    Raises:
        RetuneError: it does not.
    """
    config = about.get("config")
    if not isinstance(config, dict):
        raise RetuneError(f"{where}: config is {excerpt(config)}, expected the keys of the fusion")
    _check(config, _FUSION, set(), where)


def _refuse(where: Path, what: str) -> NoReturn:
    raise RetuneError(f"{where}: {what}, which retune has not; {_SUPPORTED}")


def _check(
    config: Config, fixed: Mapping[str, tuple[Any, str]], shape: set[str], where: Path
) -> None:
    """Refuse values other than the `fixed` ones, and unknown keys that are in use."""
    for key, (value, meaning) in fixed.items():
        found = config.get(key, value)
        if found != value or isinstance(found, bool) != isinstance(value, bool):
            _refuse(where, f"{meaning} ({key}: {excerpt(found)})")
    for key in config.keys() - fixed.keys() - shape - _FREE:
        if config[key]:
            _refuse(where, f"an adapter with the unknown setting {key}: {excerpt(config[key])}")


def _united(config: Config, where: Path) -> Sequence[Config]:
    """Return the configurations of a union, which may differ in where they stand."""
    if config.get("architecture") != "union":
        return [config]
    parts = config.get("configs")
    if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
        raise RetuneError(f"{where}: configs is {excerpt(parts)}, expected a list of objects")
    own = {"mh_adapter", "output_adapter", "leave_out"}
    shared = [{key: value for key, value in part.items() if key not in own} for part in parts]
    if any(part.get("architecture") for part in parts) or any(s != shared[0] for s in shared):
        _refuse(where, "a union of different methods, such as MAM or UniPELT")
    return parts


def _flag(config: Config, key: str, where: Path, *, default: bool | None = None) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise RetuneError(f"{where}: {key} is {excerpt(value)}, expected true or false")
    return value


def _kept(config: Config, layers: int, where: Path) -> list[int]:
    """Return the layers that an adapter stands in."""
    left_out = config.get("leave_out") or []
    if not isinstance(left_out, list) or not all(type(n) is int for n in left_out):
        raise RetuneError(f"{where}: leave_out is {excerpt(left_out)}, expected numbers of layers")
    return [layer for layer in range(layers) if layer not in left_out]


def _method(places: Mapping[str, list[int]], layers: int, where: Path) -> tuple[str, str]:
    """Return the method and how much of it the last layer has."""
    every = list(range(layers))
    but_last = every[:-1]
    attention, output = (sorted(places[name]) for name in ("attention", "output"))
    known = {
        ("pfeiffer", "whole"): ([], every),
        ("pfeiffer", "none"): ([], but_last),
        ("houlsby", "whole"): (every, every),
        ("houlsby", "attention"): (every, but_last),
        ("houlsby", "none"): (but_last, but_last),
    }
    for kind, standing in known.items():
        if (attention, output) == standing:
            return kind
    _refuse(
        where,
        f"an adapter after the attention of the layers {attention} and after the feed-forward part "
        f"of {output}: in retune all layers have it, or all but the last",
    )


def _reduction(value: Any, hidden_size: int, where: Path) -> int:
    """Return the whole reduction that gives the same bottleneck."""
    if not _is_number(value) or value < 1:
        _refuse(where, f"a bottleneck with reduction_factor {excerpt(value)}")
    size = max(1, int(hidden_size // value))
    for whole in (int(value), hidden_size // size):
        if max(1, hidden_size // whole) == size:
            return whole
    _refuse(where, f"a bottleneck of {size} units, which no whole reduction gives")


def _invertible(config: Config, where: Path) -> int | None:
    """Return the reduction of the invertible layers, if there are any."""
    kind, reduction = config.get("inv_adapter"), config.get("inv_adapter_reduction_factor")
    if isinstance(old := config.get("invertible_adapter"), dict):  # of adapter-transformers 1
        kind, reduction = old.get("block_type"), old.get("reduction_factor")
    if kind is None:
        return None
    whole = int(reduction) if isinstance(reduction, int | float) else 0
    if kind != "nice" or isinstance(reduction, bool) or whole != reduction or whole < 1:
        _refuse(where, f"invertible layers {excerpt(kind)} with reduction {excerpt(reduction)}")
    return whole


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_unscaled(version: str) -> bool:
    """Whether LoRA's matrices were added unscaled (`adapters` before 1.1)."""
    name, _, number = version.partition("adapters.")
    parts = number.split(".")[:2]
    return not name and all(map(str.isdigit, parts)) and tuple(map(int, parts)) < (1, 1)
