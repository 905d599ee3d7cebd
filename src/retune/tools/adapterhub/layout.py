"""Files of AdapterHub's library `adapters`: their names, and how they are read and written."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import torch
from safetensors.torch import load, load_file
from torch import Tensor

from retune.core.errors import RetuneError, excerpt
from retune.core.files import write_json
from retune.core.plain_files import read_bytes
from retune.models import pickled_weights
from retune.models.config_safety import explained

#: The release whose layout is written here.
VERSION = "adapters.1.3.0"
#: The order of adapters, in a folder with several.
SETUP = "adapter_setup.json"
_LARGEST = 1_000_000  # bytes of a configuration


class Files(NamedTuple):
    """The files of an adapter, a head or a fusion."""

    config: str
    safe: str
    pickled: str


ADAPTER = Files("adapter_config.json", "adapter.safetensors", "pytorch_adapter.bin")
HEAD = Files("head_config.json", "model_head.safetensors", "pytorch_model_head.bin")
FUSION = Files(
    "adapter_fusion_config.json",
    "model_adapter_fusion.safetensors",
    "pytorch_model_adapter_fusion.bin",
)

#: Names of weights in files of adapter-transformers 1, and their later names.
_LEGACY = {
    "attention_text_task_adapters": "adapters",
    "attention_text_lang_adapters": "adapters",
    "layer_text_task_adapters": "adapters",
    "layer_text_lang_adapters": "adapters",
    "invertible_lang_adapters": "invertible_adapters",
}
_PREFIX = re.compile(r"^\w+\.(?=encoder\.|invertible_adapters\.)")

#: A part of a weight's name in the library, and the same part in a bundle.
Renaming = Sequence[tuple[str, str]]


def adapter_names(theirs: str, ours: str) -> Renaming:
    """How the weights of an adapter are called that has these two names."""
    return [
        (f".adapters.{theirs}.adapter_down.0.", f".adapters.{ours}.down."),
        (f".adapters.{theirs}.adapter_up.", f".adapters.{ours}.up."),
        (f"invertible_adapters.{theirs}.F.", f"invertible.{ours}.first."),
        (f"invertible_adapters.{theirs}.G.", f"invertible.{ours}.second."),
    ]


def fusion_names(theirs: str, ours: str) -> Renaming:
    """Likewise, of a fusion."""
    return [(f".adapter_fusion_layer.{theirs}.", f".fusions.{ours}.")]


def lora_names(theirs: str) -> Renaming:
    """Likewise, of LoRA's matrices, which have no name in a bundle."""
    return [(f".loras.{theirs}.lora_{x}", f".lora_{x}.default.weight") for x in "AB"]


def to_bundle(weights: Mapping[str, Tensor], names: Renaming, where: Path) -> dict[str, Tensor]:
    """Rename the weights of a file; the new names begin inside the encoder.

    Raises:
        RetuneError: a weight is of something else.
    """
    renamed = {}
    for name, weight in weights.items():
        key = name
        for old, new in _LEGACY.items():
            key = key.replace(f".{old}.", f".{new}.")
        key = _PREFIX.sub("", key)
        found = [key.replace(theirs, ours) for theirs, ours in names if theirs in key]
        if not found:
            raise RetuneError(
                f"{where}: has the weight {excerpt(name)}, which its configuration does not "
                "explain; save it again with the latest release of `adapters`"
            )
        renamed[found[0]] = weight
    return renamed


def to_library(weights: Mapping[str, Tensor], names: Renaming) -> dict[str, Tensor]:
    """Return the weights of a bundle that `names` rename, by the names in the library."""
    return {
        key.replace(ours, theirs): weight
        for key, weight in weights.items()
        for theirs, ours in names
        if ours in key
    }


def read_object(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        RetuneError: the file is missing or holds no JSON object.
    """
    try:
        value = orjson.loads(read_bytes(path, limit=_LARGEST))
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; save the adapter again, or copy it") from None
    except orjson.JSONDecodeError as error:
        raise RetuneError(f"{path}: not valid JSON ({error}); copy the file again") from None
    if not isinstance(value, dict):
        raise RetuneError(f"{path}: {excerpt(value)} is not a JSON object; copy the file again")
    return value


def weights_file(folder: Path, files: Files) -> Path:
    """Return the file with the weights; safetensors are preferred.

    Raises:
        RetuneError: there is none.
    """
    for name in (files.safe, files.pickled):
        if (folder / name).is_file():
            return folder / name
    raise RetuneError(
        f"{folder}: has {files.config}, but neither {files.safe} nor {files.pickled}; copy the "
        "whole folder that the library wrote"
    )


def read_weights(folder: Path, files: Files) -> dict[str, Tensor]:
    """Return the weights of an adapter, a head or a fusion by name.

    A pickled file is read by a process of its own, as `retune.models.pickled_weights` says.

    Raises:
        RetuneError: the file is missing or damaged, or holds something else than finite tensors.
    """
    path = weights_file(folder, files)
    if path.name == files.safe:
        with explained(f"{path}: damaged", "; copy the file again"):
            weights = load(read_bytes(path))
    else:
        weights = _unpickled(path)
    for name, weight in weights.items():
        if not weight.is_floating_point() or not weight.isfinite().all():
            raise RetuneError(
                f"{path}: {excerpt(name)} holds something else than finite floating-point numbers; "
                "save the adapter again"
            )
    return weights


def _unpickled(path: Path) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as work:
        copy, converted = Path(work, "pickled"), Path(work, "safe")
        copy.write_bytes(read_bytes(path))
        # Not `convert`, which is for whole models: it keeps its results in the user's cache.
        if refusal := pickled_weights._refusal(copy, converted):
            raise RetuneError(
                f"{path} is refused: {refusal}. Nothing in it was run; save the adapter again "
                "with use_safetensors=True"
            )
        return load_file(converted)


def write_part(folder: Path, files: Files, about: Any, weights: Mapping[str, Tensor]) -> None:
    """Write the configuration and the weights of an adapter, a head or a fusion.

    The weights are pickled, because `load_adapter` of the library reads nothing else by default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / files.config, about)
    torch.save(dict(weights), folder / files.pickled)
