"""Write adapter_goldens.json: what AdapterHub's `adapters` computes, method by method.

That library needs a transformers of the 4 line, so that the script needs an environment of
its own:

    python -m venv adapter-env
    adapter-env/bin/pip install adapters==1.3.0 transformers==4.57.6 torch==2.13.0 numpy
    adapter-env/bin/python tests/reference/make_adapter_goldens.py

It puts adapters into a tiny BERT and a tiny RoBERTa and records logits and parameter counts.
Every weight is drawn from its name (`drawn`), in this project's naming, so that the test
draws the same ones without a file of weights.
"""

import json
import re
import zlib
from pathlib import Path
from typing import Any

import adapters
import numpy as np
import torch
from adapters import (
    BertAdapterModel,
    BnConfig,
    ConfigUnion,
    DoubleSeqBnConfig,
    RobertaAdapterModel,
    SeqBnConfig,
    SeqBnInvConfig,
)
from adapters.composition import Fuse, Stack
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    RobertaConfig,
    RobertaForQuestionAnswering,
)

LAYERS = 3
SIZES = {
    "vocab_size": 30, "hidden_size": 12, "num_hidden_layers": LAYERS, "num_attention_heads": 3,
    "intermediate_size": 20, "max_position_embeddings": 24,
}  # fmt: skip
IDS = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 0, 0]]
MASK = [[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]]
MODELS = {
    "bert": (BertConfig, BertForQuestionAnswering, BertAdapterModel, {}),
    "roberta": (
        RobertaConfig, RobertaForQuestionAnswering, RobertaAdapterModel,
        {"pad_token_id": 0, "type_vocab_size": 1},
    ),
}  # fmt: skip

PFEIFFER = SeqBnConfig(reduction_factor=4, non_linearity="gelu")
LANGUAGE = SeqBnInvConfig(reduction_factor=2, non_linearity="relu", inv_adapter_reduction_factor=2)
HOULSBY = DoubleSeqBnConfig(reduction_factor=4, non_linearity="swish")
LAST = LAYERS - 1
#: Of Houlsby's two adapters, only the one after attention stands in the last layer.
ATTENTION_LAST = ConfigUnion(
    BnConfig(
        mh_adapter=True, output_adapter=False, reduction_factor=4, non_linearity="swish",
        original_ln_before=False, original_ln_after=True, residual_before_ln=True,
        adapter_residual_before_ln=False, ln_before=False, ln_after=False,
    ),
    BnConfig(
        mh_adapter=False, output_adapter=True, reduction_factor=4, non_linearity="swish",
        original_ln_before=False, original_ln_after=True, residual_before_ln=True,
        adapter_residual_before_ln=False, ln_before=False, ln_after=False, leave_out=[LAST],
    ),
)  # fmt: skip
#: By name: the adapters, the composition, and what is trained ("adapter", "fusion").
CASES: dict[str, tuple[dict[str, Any], Any, str]] = {
    "pfeiffer": ({"qa": PFEIFFER}, "qa", "adapter"),
    "pfeiffer, none in the last layer": (
        {"qa": SeqBnConfig(reduction_factor=4, non_linearity="gelu", leave_out=[LAST])},
        "qa", "adapter",
    ),
    "pfeiffer, invertible": ({"language": LANGUAGE}, "language", "adapter"),
    "houlsby": ({"qa": HOULSBY}, "qa", "adapter"),
    "houlsby, attention in the last layer": ({"qa": ATTENTION_LAST}, "qa", "adapter"),
    "stack": ({"language": LANGUAGE, "qa": PFEIFFER}, Stack("language", "qa"), "adapter"),
    "stack of houlsby": ({"one": HOULSBY, "two": HOULSBY}, Stack("one", "two"), "adapter"),
    "fusion": ({"qa": PFEIFFER, "entities": PFEIFFER}, Fuse("qa", "entities"), "fusion"),
    "fusion of houlsby": ({"qa": HOULSBY, "entities": HOULSBY}, Fuse("qa", "entities"), "fusion"),
    "stack with a fusion": (
        {"language": LANGUAGE, "qa": PFEIFFER, "entities": PFEIFFER},
        Stack("language", Fuse("qa", "entities")), "fusion",
    ),
}  # fmt: skip
NAMES = [
    (r"output\.(output|attention)_adapters\.", "output."),
    (r"\.adapter_down\.0\.", ".down."),
    (r"\.adapter_up\.", ".up."),
    (r"\.attention_adapters\.", ".output."),
    (r"adapter_fusion_layer\.", "fusions."),
    (r"invertible_adapters\.", "invertible."),
    (r"\.F\.", ".first."),
    (r"\.G\.", ".second."),
    # Only a head of the library's own goes back through the invertible layers.
    (r"^heads\.bert\.0\.", "cls.predictions.transform.dense."),
    (r"^heads\.bert\.2\.", "cls.predictions.transform.LayerNorm."),
    (r"^heads\.bert\.3\.", "cls.predictions."),
    (r"^heads\.roberta\.0\.", "lm_head.dense."),
    (r"^heads\.roberta\.2\.", "lm_head.layer_norm."),
    (r"^heads\.roberta\.3\.", "lm_head."),
]


def drawn(name: str, shape: tuple[int, ...]) -> "torch.Tensor":
    """The weight called `name`; norms are near 1, all else near 0."""
    # The legacy generator's stream is frozen, which the newer ones' is not.
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape) * 0.3
    return torch.tensor(values + ("LayerNorm.weight" in name), dtype=torch.float32)


def our_name(name: str) -> str:
    """What this project calls a weight of `adapters`."""
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def fill(model: "torch.nn.Module") -> None:
    """Draw every weight; tied ones once."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(drawn(our_name(name), tuple(weight.shape)))


def case(family: str, name: str, *, language_model: bool = False) -> dict[str, Any]:
    """Logits and counts of one case."""
    config, qa, masked, options = MODELS[family]
    torch.manual_seed(0)
    model = (masked if language_model else qa)(config(**SIZES, **options))
    if language_model:
        model.add_masked_lm_head(family, activation_function="gelu")
    else:
        adapters.init(model)
    params, composition, trained = CASES[name]
    for adapter, settings in params.items():
        model.add_adapter(adapter, config=settings)
    if trained == "fusion":
        fuse = composition if isinstance(composition, Fuse) else composition[1]
        model.add_adapter_fusion(fuse)
        model.train_adapter_fusion(composition)
    else:
        model.train_adapter(composition)
    fill(model)
    model.set_active_adapters(composition)
    model.eval()
    with torch.inference_mode():
        output = model(input_ids=torch.tensor(IDS), attention_mask=torch.tensor(MASK))
    real = torch.tensor(MASK).bool()
    if language_model:
        logits = output.logits[real]
    else:
        logits = torch.stack([output.start_logits[real], output.end_logits[real]], -1)
    counts = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "trained": sum(w.numel() for w in model.base_model.parameters() if w.requires_grad),
    }
    if trained == "fusion":
        counts["penalty"] = model.base_model.get_fusion_regularization_loss().item()
    return counts | {"logits": logits.tolist()}


def main() -> None:
    """Write the file beside this script."""
    goldens = {
        family: {name: case(family, name) for name in CASES}
        | {
            f"masked, {name}": case(family, name, language_model=True)
            for name in ("pfeiffer", "pfeiffer, invertible")
        }
        for family in MODELS
    }
    path = Path(__file__).with_name("adapter_goldens.json")
    path.write_text(json.dumps(goldens, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
