"""Causal language models in folders."""

from pathlib import Path
from typing import TYPE_CHECKING

from retune.checkpoints import quiet_transformers
from retune.configuration import check_configuration, explained

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load(folder: Path) -> "PreTrainedModel":
    """The model in `folder`, float32 and in evaluation mode (no dropout).

    Raises:
        RetuneError: the folder is incomplete or damaged, or its configuration leads to
            code or weights elsewhere.
    """
    import torch
    from transformers import AutoModelForCausalLM

    quiet_transformers()
    check_configuration(folder)
    with explained(f"{folder}: not a whole model", "; delete it and run the train stage"):
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    model.eval()
    return model
