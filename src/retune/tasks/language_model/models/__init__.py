"""Models that tell the next token of (B, T) tokens, one file each.

To add one, write `language_model/models/<name>.py` with

- `Params`, a frozen dataclass: the params section `language_model.models.<name>`;
- `build(params, checkpoint, tokenizer)`, which gives a `PreTrainedModel` of transformers with
  logits (B, T, V) for all tokens of the tokenizer (the caller has seeded torch).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.errors import RetuneError, listed
from retune.models.checkpoints import WEIGHTS, quiet_transformers
from retune.models.config_safety import check_configuration, explained

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load(folder: Path) -> "PreTrainedModel":
    """The model in `folder`, before its training or after, float32 and without dropout.

    Raises:
        RetuneError: the folder is incomplete or damaged, or its configuration leads to
            code or weights elsewhere.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from retune.models.model_checks import require_fitting_sizes, require_readable

    quiet_transformers()
    check_configuration(folder)
    again = "; where a stage wrote it, `dvc repro --force` writes it again"
    auto_class: Any = AutoModelForCausalLM  # whose types do not tell of the loading info
    with explained(f"{folder}: not a whole language model", again):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        require_fitting_sizes(folder / WEIGHTS, config, auto_class)
        model, report = auto_class.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if missing := sorted(report["missing_keys"]):  # transformers draws them at random
        raise RetuneError(f"{folder}: lacks the weights {listed(missing, 3)}{again}")
    with explained(f"{folder}: not a whole language model", again):
        require_readable(model.eval())
    whole: PreTrainedModel = model
    return whole
