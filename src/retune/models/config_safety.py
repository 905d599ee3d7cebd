"""The JSON files of a model may name sizes and labels, never code.

transformers makes every key of config.json an attribute of the configuration, and follows some of
them to code or weights elsewhere. Such keys are refused before it reads them.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from retune.core.errors import RetuneError, excerpt, is_panic, listed
from retune.core.out_of_memory import is_out_of_memory
from retune.core.plain_files import read_bytes, require_plain_or_folders

#: A class outside transformers, kernels from the hub, another file of weights, a quantizer.
_DIRECTIONS = re.compile(
    r"auto_map|trust_remote_code|custom_pipelines|\w*implementation\w*|transformers_weights"
    r"|quantization_config|compression_config"
)
#: The harmless keys with an underscore; transformers keeps such keys for itself.
_HARMLESS = {"_name_or_path", "_commit_hash", "_num_labels", "_attn_implementation_autoset"}
_LABELS = {"id2label", "label2id"}  # their keys are the user's words
_DEPTH = 20
_MOST_LABELS = 100_000
_LARGEST = 50_000_000  # bytes: labels and added tokens of a million words


def check_configuration(folder: Path) -> None:
    """Check the files in `folder` that tell transformers which classes and files to use.

    Raises:
        RetuneError: the folder holds a pipe or a device; a file is not a JSON object, or has a key
            that leads to code, to kernels or to weights other than model.safetensors.
    """
    require_plain_or_folders(folder)
    if (folder / "adapter_config.json").exists():
        raise RetuneError(
            f"{folder} holds an adapter (adapter_config.json), whose weights are not pinned; "
            "merge it into the model and save that"
        )
    for name, is_private in (("config.json", True), ("tokenizer_config.json", False)):
        path = folder / name
        if not path.is_file():
            continue
        content = _read(path)
        _require_few_labels(content, path)
        refused = sorted(set(_refused(content, is_private)))
        if refused:
            raise RetuneError(
                f"{path}: refused because of {listed([excerpt(key) for key in refused], 3)}, "
                "which could bring code or weights from elsewhere; remove it if you trust "
                "the rest, or choose another model"
            )


@contextmanager
def explained(what: str, remedy: str = "") -> Iterator[None]:
    """Turn an error of transformers into a message that begins with `what`.

    transformers checks few of the values in a JSON file. A wrong one can raise any exception:
    TypeError, KeyError, AttributeError, ImportError, or its own.
    """
    try:
        yield
    except RetuneError:
        raise
    except BaseException as error:
        if is_out_of_memory(error) or not (isinstance(error, Exception) or is_panic(error)):
            raise
        reason = excerpt(" ".join(f"{type(error).__name__}: {error}".split()), 300)
        raise RetuneError(f"{what}: {reason}{remedy}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        value = orjson.loads(read_bytes(path, limit=_LARGEST))
    except orjson.JSONDecodeError as error:
        raise RetuneError(f"{path}: not valid JSON ({error}); download the file again") from None
    if not isinstance(value, dict):
        raise RetuneError(f"{path}: {excerpt(value)} is not a JSON object; download the file again")
    return value


def _require_few_labels(content: dict[str, Any], path: Path) -> None:
    """Limit the labels, because transformers makes a name for each when it reads `num_labels`."""
    count = content.get("num_labels")
    if isinstance(count, int) and count > _MOST_LABELS:
        raise RetuneError(
            f"{path}: num_labels is {count:,}; at most {_MOST_LABELS:,} are allowed: correct it"
        )


def _refused(value: Any, is_private: bool, depth: int = 0) -> Iterator[str]:
    """Yield the refused keys at all depths; valid files are not nested deeply."""
    if depth > _DEPTH:
        yield "a value nested too deeply"
    elif isinstance(value, list):
        for item in value:
            yield from _refused(item, is_private, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            directs = _DIRECTIONS.fullmatch(key) or (is_private and key.startswith("_"))
            if directs and key not in _HARMLESS:
                yield key
            elif key not in _LABELS:
                yield from _refused(item, is_private, depth + 1)
