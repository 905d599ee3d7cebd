"""Convert a model of torch into a graph, and make its numbers 8-bit integers."""

import logging
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from retune.core.errors import RetuneError
from retune.inference.exported import (
    GRAPHS,
    INPUTS,
    OUTPUTS,
    Arrays,
    Format,
    compute_by,
    import_openvino,
    leave_out_telemetry,
    needs_extra,
)
from retune.tasks.qa.predict import attention
from retune.tasks.qa.predict.reader import accepts_token_types

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_OPSET = 17
#: Shapes (windows, tokens) that the graph is tried on; it is traced on the first.
_SHAPES = ((2, 16), (1, 9), (5, 31))
#: The largest difference between a logit of the graph and the one that torch computes.
_TOLERANCE = 2e-3


class _Logits(nn.Module):
    """A model whose inputs and outputs are tensors in the order of the graph."""

    def __init__(self, model: "PreTrainedModel") -> None:
        super().__init__()
        self.model = model
        self.names = INPUTS if accepts_token_types(model) else INPUTS[:2]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        found: Any = self.model(**dict(zip(self.names, tensors, strict=True)))
        return found.start_logits, found.end_logits


def convert(model: "PreTrainedModel", format_: Format, folder: Path) -> None:
    """Write the graph of a model to a folder.

    Raises:
        RetuneError: the model cannot be converted, or the graph has other logits.
    """
    logits = _Logits(model).eval()  # all of it: the exporter restores the mode of the whole
    graph = folder / GRAPHS["onnx"]
    try:
        with warnings.catch_warnings(), torch.inference_mode(), _plain_attention():
            warnings.simplefilter("ignore")  # of tracing; the graph is tried afterwards
            _trace(logits, graph)
        if format_ == "openvino":
            _to_openvino(graph, folder)
        _require_same(logits, format_, folder)
    except ImportError as error:
        raise needs_extra(error, format_) from None
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise RetuneError(f"cannot be exported to {format_}: {first}") from error


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Let the layers of retune attend by one operation.

    The one of transformers reshapes its result by a size that tracing takes for a constant.
    """

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **_: Any
    ) -> tuple[Tensor, None]:
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return mixed.transpose(1, 2), None

    names = vars(attention)
    before = names["sdpa_attention_forward"]
    names["sdpa_attention_forward"] = attend
    try:
        yield
    finally:
        names["sdpa_attention_forward"] = before


def _trace(logits: _Logits, graph: Path) -> None:
    axes = {name: {0: "windows", 1: "tokens"} for name in (*logits.names, *OUTPUTS)}
    torch.onnx.export(
        logits,
        tuple(_inputs(logits, *_SHAPES[0])),
        str(graph),
        input_names=[*logits.names],
        output_names=[*OUTPUTS],
        dynamic_axes=axes,
        opset_version=_OPSET,
        dynamo=False,
    )


def _to_openvino(graph: Path, folder: Path) -> None:
    openvino = import_openvino()
    model = openvino.convert_model(graph)
    graph.unlink()
    openvino.save_model(model, folder / GRAPHS["openvino"], compress_to_fp16=False)


def _inputs(logits: _Logits, windows: int, tokens: int) -> list[Tensor]:
    """Return inputs with padding, question and context."""
    vocabulary = int(logits.model.config.vocab_size)
    generator = torch.Generator().manual_seed(windows)
    ids = torch.randint(vocabulary, (windows, tokens), generator=generator)
    mask = torch.ones(windows, tokens, dtype=torch.int64)
    mask[windows // 2 :, tokens - tokens // 3 :] = 0
    types = torch.zeros(windows, tokens, dtype=torch.int64)
    types[:, tokens // 4 :] = 1
    return [ids, mask, types][: len(logits.names)]


def _require_same(logits: _Logits, format_: Format, folder: Path) -> None:
    """Refuse a graph whose logits differ from the model's at one of `_SHAPES`."""
    compute = compute_by(format_, folder / GRAPHS[format_])
    for shape in _SHAPES:
        tensors = _inputs(logits, *shape)
        with torch.inference_mode():
            expected = [each.numpy() for each in logits(*tensors)]
        arrays = {name: t.numpy() for name, t in zip(INPUTS, tensors, strict=False)}
        real = arrays["attention_mask"].astype(bool)
        for found, its in zip(compute(arrays), expected, strict=True):
            if not np.allclose(found[real], its[real], atol=_TOLERANCE, rtol=_TOLERANCE):
                off = float(np.abs(found[real] - its[real]).max())
                raise RetuneError(
                    "logits of the graph differ from the model's "
                    f"by up to {off:.2g} for {shape[0]} windows of {shape[1]} tokens"
                )


def quantize(format_: Format, folder: Path, windows: Iterable[Arrays]) -> None:
    """Make weights and activations of a graph 8-bit integers.

    Args:
        format_: of the graph.
        folder: with the graph, which is replaced.
        windows: inputs by which the ranges of activations are found.
    """
    change = _quantize_onnx if format_ == "onnx" else _quantize_openvino
    try:
        change(folder / GRAPHS[format_], [*windows])
    except ImportError as error:
        raise needs_extra(error, format_) from None


def _quantize_onnx(graph: Path, windows: Sequence[Arrays]) -> None:
    import onnx

    model = onnx.load(graph)
    names = [each.name for each in model.graph.input]
    onnx.save(_quantized(model, [{name: w[name] for name in names} for w in windows]), graph)


def _quantize_openvino(graph: Path, windows: Sequence[Arrays]) -> None:
    openvino = import_openvino()
    model = openvino.Core().read_model(graph)
    names = [each.get_any_name() for each in model.inputs]
    quantized = _quantized(model, [tuple(window[name] for name in names) for window in windows])
    plain = [graph, graph.with_suffix(".bin")]
    small = graph.with_name("small.xml")
    openvino.save_model(quantized, small, compress_to_fp16=False)
    del model
    for path, new in zip(plain, [small, small.with_suffix(".bin")], strict=True):
        new.replace(path)


def _quantized(model: Any, inputs: Sequence[Any]) -> Any:
    """Quantize a graph of either format by nncf, after SmoothQuant (Xiao et al. 2023)."""
    leave_out_telemetry()
    import nncf

    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(sys.stderr):  # its progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(inputs),
        )
