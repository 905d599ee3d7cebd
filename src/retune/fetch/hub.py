"""Params of data sets on the Hugging Face hub, pinned by a commit and each file's SHA-256."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core.params import STRICT

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=STRICT)
class HubParams:
    """The hub's commit and the sums of its two files."""

    revision: Commit
    train_sha256: Sha256
    validation_sha256: Sha256
