"""Models that `retune export` wrote: ONNX Runtime or OpenVINO computes their logits, not torch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from retune.core.errors import RetuneError, listed
from retune.core.params import STRICT
from retune.core.plain_files import read_bytes
from retune.models.config_safety import check_configuration

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Format = Literal["onnx", "openvino"]
#: Inputs and outputs of an exported graph, by name.
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("start_logits", "end_logits")
#: In the folder of an exported model.
FILE = "export.json"
GRAPHS = {"onnx": "model.onnx", "openvino": "model.xml"}

Arrays = Mapping[str, NDArray[Any]]
#: Returns start and end logits (B, T) for the inputs (B, T).
Compute = Callable[[Arrays], tuple[NDArray[np.float32], NDArray[np.float32]]]


@dataclass(frozen=True, config=STRICT)
class Export:
    """The file `export.json`.

    Attributes:
        format: of the graph.
        int8: whether weights, and where it pays activations, are 8-bit integers.
        model: SHA-256 of the manifest of the model that was exported.
        positions: the most tokens of a window; None without a limit.
    """

    format: Format
    int8: bool
    model: str
    positions: int | None


class ExportedModel(nn.Module):
    """Takes the place of the model that was exported. It runs on the CPU.

    Args:
        config: of the model that was exported.
        compute: returns the logits.
    """

    def __init__(self, config: Any, compute: Compute) -> None:
        super().__init__()
        self.config = config
        self._compute = compute
        # The device of a model is asked of its parameters.
        self.none = nn.Parameter(torch.zeros(0), requires_grad=False)

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return self.none.device

    def to(self, *_: Any, **__: Any) -> "ExportedModel":
        """Return this model, which stays where it is."""
        return self

    def is_backend_compatible(self) -> bool:
        """Whether attention can be exchanged, which it cannot."""
        return False

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (B, T)."""
        given = zip(INPUTS, (input_ids, attention_mask, token_type_ids), strict=True)
        arrays = {name: tensor.numpy() for name, tensor in given if tensor is not None}
        start, end = map(torch.from_numpy, self._compute(arrays))
        return QuestionAnsweringModelOutput(start_logits=start, end_logits=end)


def is_export(folder: Path) -> bool:
    """Whether a folder has an exported model."""
    return (folder / FILE).is_file()


def read_export(folder: Path) -> Export:
    """Read `export.json`.

    Raises:
        RetuneError: it is damaged.
    """
    try:
        return TypeAdapter(Export).validate_json(read_bytes(folder / FILE))
    except ValidationError as error:
        places = [".".join(map(str, each["loc"])) or "JSON" for each in error.errors()]
        raise RetuneError(
            f"{folder / FILE}: {listed(places)} missing or wrong; export the model again"
        ) from None


def load_exported(folder: Path) -> "PreTrainedModel":
    """Load an exported model. The variant's classes must be registered.

    Raises:
        RetuneError: the folder is damaged, or the library that runs the graph is not installed.
    """
    from transformers import AutoConfig

    about = read_export(folder)
    check_configuration(folder)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config.max_position_embeddings = about.positions
    compute = compute_by(about.format, folder / GRAPHS[about.format])
    return cast("PreTrainedModel", ExportedModel(config, compute))


def compute_by(format_: Format, graph: Path) -> Compute:
    """Return what computes logits by a graph.

    Raises:
        RetuneError: the graph cannot be read, or the library is not installed.
    """
    make = _by_onnx_runtime if format_ == "onnx" else _by_openvino
    try:
        return make(graph)
    except ImportError as error:
        raise needs_extra(error, format_) from None
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise RetuneError(f"{graph}: not a graph of {format_} ({first}); export it again") from None


def needs_extra(error: ImportError, extra: str, what: str = "this") -> RetuneError:
    """Return the error for a package that `what` needs and that is not installed."""
    return RetuneError(
        f"{what} needs {error.name}, which is not installed: in a checkout of retune, "
        f"`make environment` installs it, and so does `pip install --editable '.[{extra}]'`"
    )


def _by_onnx_runtime(graph: Path) -> Compute:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def compute(arrays: Arrays) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        start, end = session.run([*OUTPUTS], {name: arrays[name] for name in names})
        return start, end

    return compute


def _by_openvino(graph: Path) -> Compute:
    openvino = import_openvino()
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",  # the same everywhere
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    names = [each.get_any_name() for each in compiled.inputs]

    def compute(arrays: Arrays) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = compiled([arrays[name] for name in names])
        start, end = (found[name] for name in OUTPUTS)
        return start, end

    return compute


def import_openvino() -> Any:
    """Import openvino without its telemetry."""
    leave_out_telemetry()
    import openvino

    return openvino


def leave_out_telemetry() -> None:
    """Let openvino and nncf find no `openvino_telemetry`, which they can do without."""
    import sys

    sys.modules.setdefault("openvino_telemetry", cast(Any, None))  # an import of it now fails
