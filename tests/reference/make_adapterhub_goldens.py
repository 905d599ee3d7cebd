"""Write adapterhub/: adapters as AdapterHub's `adapters` saves them, with their logits.

It needs the environment that make_adapter_goldens.py describes:

    adapter-env/bin/python tests/reference/make_adapterhub_goldens.py

Every folder has what `save_adapter`, `save_adapter_setup` and so on write, and logits.json has the
logits. The weights of the encoder are drawn from their names, so that the test draws the same ones;
those of the adapters are drawn, too, and are in the files.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import adapters
import torch
from adapters import (
    BnConfig,
    ConfigUnion,
    DoubleSeqBnConfig,
    LoRAConfig,
    SeqBnConfig,
    SeqBnInvConfig,
)
from adapters.composition import Fuse, Stack

sys.path.insert(0, str(Path(__file__).parent))
from make_adapter_goldens import MODELS, drawn

SIZES = {
    "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 12, "max_position_embeddings": 16,
}  # fmt: skip
IDS = [[5, 6, 7, 8, 9], [12, 13, 14, 0, 0]]
MASK = [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
PFEIFFER = SeqBnConfig(reduction_factor=4, non_linearity="gelu")
HOULSBY = DoubleSeqBnConfig(reduction_factor=4, non_linearity="swish")
LANGUAGE = SeqBnInvConfig(reduction_factor=2, non_linearity="relu", inv_adapter_reduction_factor=2)
LORA = LoRAConfig(r=2, alpha=6, attn_matrices=["q", "v"])
PLACE = {"reduction_factor": 4, "non_linearity": "swish", "original_ln_before": False}
UNION = ConfigUnion(
    BnConfig(mh_adapter=True, output_adapter=False, **PLACE),
    BnConfig(mh_adapter=False, output_adapter=True, leave_out=[1], **PLACE),
)

Save = Callable[[Any, str], None]


def saved(name: str, *, safe: bool = False) -> Save:
    return lambda model, folder: model.save_adapter(folder, name, use_safetensors=safe)


def saved_setup(setup: Any, head: bool | str) -> Save:
    return lambda model, folder: model.save_adapter_setup(
        folder, setup, head_setup=head, use_safetensors=True
    )


STACK = Stack("language", Fuse("qa", "entities"))
NO_LAST = SeqBnConfig(reduction_factor=4, non_linearity="gelu", leave_out=[1])
#: By folder: the family, whether the library's own class with named heads, the adapters, their
#: composition, and how they are saved.
CASES: dict[str, tuple[str, bool, dict[str, Any], Any, Save]] = {
    "pfeiffer": ("bert", False, {"SQuAD-v1": PFEIFFER}, "SQuAD-v1", saved("SQuAD-v1")),
    "houlsby": ("bert", True, {"qa": HOULSBY}, "qa", saved("qa", safe=True)),
    "union": ("bert", False, {"qa": UNION}, "qa", saved("qa", safe=True)),
    "language": ("bert", False, {"pt": LANGUAGE}, "pt", saved("pt", safe=True)),
    "lora": ("bert", True, {"qa": LORA}, "qa", saved("qa", safe=True)),
    "lora_everywhere": (
        "bert", False,
        {"qa": LORA.replace(intermediate_lora=True, output_lora=True, leave_out=[0])},
        "qa", saved("qa", safe=True),
    ),
    "setup": (
        "bert", False, {"language": LANGUAGE, "qa": PFEIFFER, "entities": PFEIFFER}, STACK,
        saved_setup(STACK, True),
    ),
    "fusion": (
        "bert", True, {"qa": NO_LAST, "entities": NO_LAST}, Fuse("qa", "entities"),
        saved_setup(Fuse("qa", "entities"), "qa"),
    ),
    "roberta": ("roberta", True, {"qa": PFEIFFER}, "qa", saved("qa", safe=True)),
}  # fmt: skip


def build(family: str, *, named: bool, sizes: dict[str, int]) -> Any:
    """A model for question answering with no adapter yet."""
    config, qa, own, options = MODELS[family]
    torch.manual_seed(0)
    model = (own if named else qa)(config(**sizes, **options))
    if named:
        model.add_qa_head("qa")
    else:
        adapters.init(model)
    return model


def logits(model: Any) -> list[Any]:
    """Start and end logits (tokens, 2) of the real tokens."""
    model.eval()
    with torch.inference_mode():
        output = model(input_ids=torch.tensor(IDS), attention_mask=torch.tensor(MASK))
    real = torch.tensor(MASK).bool()
    return torch.stack([output.start_logits[real], output.end_logits[real]], -1).tolist()


def case(name: str, folder: Path) -> list[Any]:
    """Save one case and return its logits."""
    family, named, params, composition, save = CASES[name]
    model = build(family, named=named, sizes=SIZES)
    for adapter, config in params.items():
        model.add_adapter(adapter, config=config)
    for fuse in [composition, *getattr(composition, "children", [])]:
        if isinstance(fuse, Fuse):
            model.add_adapter_fusion(fuse)
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            weight.copy_(drawn(weight_name, tuple(weight.shape)))
    model.set_active_adapters(composition)
    save(model, str(folder / name))
    return logits(model)


def main() -> None:
    """Write the folders and logits.json beside this script."""
    folder = Path(__file__).with_name("adapterhub")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found = {name: case(name, folder) for name in CASES}
    text = json.dumps({"adapters": adapters.__version__, "logits": found}, indent=1)
    (folder / "logits.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
