"""The encoder of a bundle, and whether adapters were trained on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, excerpt
from retune.core.files import read_json
from retune.models.pretrained_files import PretrainedParams


@dataclass(frozen=True)
class Encoder:
    """The encoder of a bundle: its folder, its pin, and its configuration."""

    folder: Path
    pin: PretrainedParams
    config: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, pin: PretrainedParams) -> "Encoder":
        """Return the encoder in a verified folder."""
        return cls(folder, pin, read_json(folder / "config.json"))

    @property
    def layers(self) -> int:
        """How many layers it has."""
        return int(self.config["num_hidden_layers"])


def require_same_encoder(
    about: Mapping[str, Any], encoder: Encoder, where: Path, *, renamed: bool
) -> None:
    """Refuse an encoder that an adapter was not trained for, as far as its description tells."""
    for key in ("model_type", "hidden_size"):
        asked, here = about.get(key), encoder.config.get(key)
        if asked is not None and asked != here:
            raise RetuneError(
                f"{where}: is for an encoder with {key} {excerpt(asked)}, but {encoder.folder} has "
                f"{excerpt(here)}; name the adapter's encoder with --encoder and --revision"
            )
    trained = about.get("model_name")
    if not isinstance(trained, str) or not trained or renamed:
        return
    names = [encoder.pin.name, str(encoder.config.get("_name_or_path", ""))]
    if not any(_last(name) == _last(trained) for name in names):
        raise RetuneError(
            f"{where}: was trained on {trained}, but the encoder is {encoder.pin.name}; name the "
            "adapter's with --encoder and --revision. If it is the same under another name, add "
            "--same-encoder"
        )


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()
