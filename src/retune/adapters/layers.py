"""Small trained layers in a frozen encoder: bottleneck adapters, stacks, fusion.

- bottleneck adapters after the attention and the feed-forward part of a layer (Houlsby et al.
  2019) or after the feed-forward part alone (Pfeiffer et al. 2020, MAD-X);
- invertible layers at the embeddings (MAD-X), whose inverse comes before a masked language
  model's output;
- AdapterFusion (Pfeiffer et al. 2021): attention of each token over several adapters.

An encoder of the BERT family ends each half of a layer with a module of `dense`, `dropout` and
`LayerNorm`. `adapt` replaces it by an `AdaptedOutput` with the same names, so that the encoder's
weights keep theirs.

Shapes: B windows, T tokens, H hidden size, D bottleneck size, K fused adapters.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN

from retune.core.errors import RetuneError, excerpt, listed
from retune.core.params import STRICT, Positive

#: Architectures (`model_type`) whose layers end as `adapt` expects.
FAMILIES = ("bert", "camembert", "roberta", "xlm-roberta")
#: The order of adapters: names, and tuples of names that are fused.
Composition = Sequence[str | tuple[str, ...]]
#: The halves of a layer.
Place = Literal["attention", "output"]

_DEVIATION = 0.02  # of fresh weights, as in BERT
_PENALTY = 0.01  # on values of fusion that leave the identity (Pfeiffer et al. 2021)


def _known(activation: str) -> str:
    if activation not in ACT2FN:
        raise ValueError(f"unknown non-linearity; transformers has {listed(sorted(ACT2FN), 40)}")
    return activation


@dataclass(frozen=True, config=STRICT)
class AdapterParams:
    """One adapter in every layer.

    The bottleneck has H // `reduction` units. The last layer has the whole adapter, only the part
    after its attention (of `houlsby`), or none (MAD-X 2.0, Pfeiffer et al. 2021b).
    `invertible_reduction` is the reduction of the invertible layers; null means no such layers.
    """

    method: Literal["pfeiffer", "houlsby"]
    reduction: Positive
    non_linearity: Annotated[str, AfterValidator(_known)]
    last_layer: Literal["whole", "attention", "none"]
    invertible_reduction: Annotated[int, Field(ge=1)] | None

    def stands(self, place: Place, *, last: bool) -> bool:
        """Whether a layer has a bottleneck at the `place` ("attention", "output")."""
        here = place == "output" or self.method == "houlsby"
        if not last or self.last_layer == "whole":
            return here
        return here and place == self.last_layer


class Bottleneck(nn.Module):
    """The bottleneck of an adapter: (..., H) to (..., H) through D units."""

    def __init__(self, hidden_size: int, params: AdapterParams) -> None:
        super().__init__()
        size = max(1, hidden_size // params.reduction)
        self.down = nn.Linear(hidden_size, size)
        self.non_linearity = ACT2FN[params.non_linearity]
        self.up = nn.Linear(size, hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply both projections; the caller adds the result to `hidden`."""
        return cast(Tensor, self.up(self.non_linearity(self.down(hidden))))


class Fusion(nn.Module):
    """Attention of a token over the outputs of adapters (equations 3 and 4 of the paper)."""

    def __init__(self, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, added: Tensor) -> Tensor:
        """Mix the outputs `added` (..., K, H) of adapters by the token's state (..., H)."""
        scores = (self.key(added) @ self.query(hidden).unsqueeze(-1)).squeeze(-1)
        weights = self.dropout(scores).softmax(-1)
        return cast(Tensor, (weights.unsqueeze(-2) @ self.value(added)).squeeze(-2))

    def penalty(self) -> Tensor:
        """The distance of the values from the identity, for the loss."""
        weight = self.value.weight
        identity = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
        return _PENALTY * (weight - identity).pow(2).sum()


class Invertible(nn.Module):
    """Additive coupling of the halves of a token's embedding (Dinh et al. 2015, NICE)."""

    def __init__(self, hidden_size: int, reduction: int, non_linearity: str) -> None:
        super().__init__()
        first, second = hidden_size // 2, hidden_size - hidden_size // 2
        self.first = _network(second, first, reduction, non_linearity)
        self.second = _network(first, second, reduction, non_linearity)
        self.middle = first

    def forward(self, embedding: Tensor) -> Tensor:
        """Map embeddings (..., H) of the encoder to those of the language."""
        first, second = embedding[..., : self.middle], embedding[..., self.middle :]
        first = first + self.first(second)
        return torch.cat([first, second + self.second(first)], dim=-1)

    def inverse(self, embedding: Tensor) -> Tensor:
        """Invert `forward`."""
        first, second = embedding[..., : self.middle], embedding[..., self.middle :]
        second = second - self.second(first)
        return torch.cat([first - self.first(second), second], dim=-1)


class AdaptedOutput(nn.Module):
    """The end of half a layer, with adapters between its projection and its residual.

    Args:
        output: the encoder's own module.
        parts: the adapters at this place; several adapters of one part are fused.
        params: of the adapters, by name.
    """

    def __init__(
        self,
        output: Any,
        parts: Sequence[tuple[str, ...]],
        params: Mapping[str, AdapterParams],
    ) -> None:
        super().__init__()
        self.dense: nn.Linear = output.dense
        self.dropout: nn.Dropout = output.dropout
        self.LayerNorm: nn.LayerNorm = output.LayerNorm
        self.adapters = nn.ModuleDict()
        self.fusions = nn.ModuleDict()
        self.composition = parts
        size = self.dense.out_features
        for name in (name for part in parts for name in part):
            self.adapters[name] = Bottleneck(size, params[name])
        for part in parts:
            if len(part) > 1:
                self.fusions[_joined(part)] = Fusion(size, self.dropout.p)
        # Pfeiffer's adapter reads the layer's output without it, Houlsby's the projection.
        self.normalized = params[parts[-1][-1]].method == "pfeiffer"

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """Map (B, T, inner size) and the residual (B, T, H) to (B, T, H), like the original."""
        hidden: Tensor = self.dropout(self.dense(hidden_states))
        for part in self.composition:
            read = self.LayerNorm(hidden + input_tensor) if self.normalized else hidden
            added = [self.adapters[name](read) for name in part]
            fused = len(part) > 1
            hidden = hidden + (
                self.fusions[_joined(part)](read, torch.stack(added, dim=-2)) if fused else added[0]
            )
        return cast(Tensor, self.LayerNorm(hidden + input_tensor))


def adapt(
    model: PreTrainedModel, params: Mapping[str, AdapterParams], composition: Composition
) -> None:
    """Add fresh adapters to `model`, and freeze its encoder.

    Args:
        model: any model with an encoder of the `FAMILIES`.
        params: of the adapters in `composition`, by name.
        composition: the order of the adapters in each layer.

    Raises:
        RetuneError: the architecture is another one, or adapters cannot be fused.
    """
    check_family(model.config.model_type)
    parts = [(part,) if isinstance(part, str) else tuple(part) for part in composition]
    _check_parts(parts, params)
    encoder: Any = model.base_model
    encoder.requires_grad_(requires_grad=False)
    layers = list(encoder.encoder.layer)
    for layer in layers:
        owners: dict[Place, Any] = {"attention": layer.attention, "output": layer}
        for place, owner in owners.items():
            standing = {n for n, p in params.items() if p.stands(place, last=layer is layers[-1])}
            here = [tuple(n for n in part if n in standing) for part in parts]
            if any(here):
                owner.output = AdaptedOutput(owner.output, [p for p in here if p], params)
                _start(owner.output)
    _add_invertible(model, parts[0][0], params[parts[0][0]])


def check_family(model_type: str) -> None:
    """Check that adapters can be added to an encoder."""
    if model_type not in FAMILIES:
        raise RetuneError(
            f"adapters cannot be put into a model of type {excerpt(model_type)}; choose a "
            f"model of type {listed(list(FAMILIES))}"
        )


def fusion_penalty(model: nn.Module) -> Tensor | float:
    """The penalty that keeps the values of trained fusions near the identity."""
    fusions = (module for module in model.modules() if isinstance(module, Fusion))
    return sum(fusion.penalty() for fusion in fusions if fusion.value.weight.requires_grad)


def _check_parts(parts: Sequence[tuple[str, ...]], params: Mapping[str, AdapterParams]) -> None:
    names = [name for part in parts for name in part]
    if sorted(names) != sorted(params):
        raise RetuneError(
            f"the composition has the adapters {listed(names)}, but the params are for "
            f"{listed(sorted(params))}; name each adapter once"
        )
    for part in parts:
        kinds = {(params[name].method, params[name].last_layer) for name in part}
        if len(kinds) > 1:
            raise RetuneError(
                f"the adapters {listed(list(part))} cannot be fused: they differ in method or in "
                "their last layer; train them with the same settings"
            )


def _add_invertible(model: PreTrainedModel, name: str, params: AdapterParams) -> None:
    """Add the first adapter's invertible layers around the encoder, if it has any."""
    if params.invertible_reduction is None:
        return
    encoder: Any = model.base_model
    size = model.config.hidden_size
    coupling = Invertible(size, params.invertible_reduction, params.non_linearity)
    encoder.invertible = nn.ModuleDict({name: coupling})
    _start(coupling)
    encoder.embeddings.register_forward_hook(lambda _module, _inputs, output: coupling(output))
    head = model.get_output_embeddings()
    if head is not None:  # of a masked language model
        head.register_forward_pre_hook(lambda _module, inputs: (coupling.inverse(inputs[0]),))


def _start(module: nn.Module) -> None:
    """Draw the added weights; the encoder's own stay."""
    own: list[nn.Module] = [module]
    if isinstance(module, AdaptedOutput):
        own = [module.adapters, module.fusions]
    for layer in (layer for part in own for layer in part.modules()):
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=_DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for fusion in (part for part in module.modules() if isinstance(part, Fusion)):
        nn.init.eye_(fusion.value.weight)


def _network(inputs: int, outputs: int, reduction: int, non_linearity: str) -> nn.Sequential:
    size = max(1, inputs // reduction)
    return nn.Sequential(nn.Linear(inputs, size), ACT2FN[non_linearity], nn.Linear(size, outputs))


def _joined(names: Sequence[str]) -> str:
    return ",".join(names)  # a dot would part a module's path
