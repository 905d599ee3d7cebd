"""Random encoders, models on them with parts that are as if trained, and their bundles."""

from pathlib import Path
from typing import Any

import tiny
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    BertConfig,
    DistilBertConfig,
    PreTrainedModel,
    RobertaConfig,
)

from retune.adapters.bundles import AdapterParts, LoraParts, Parts, insert, publish
from retune.adapters.layers import AdapterParams
from retune.core.files import sha256
from retune.models.encoders import encoder_config, load_encoder
from retune.models.pretrained_files import PretrainedParams

SIZES: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 40,
}  # fmt: skip
CONFIGS = {
    "bert": BertConfig(**SIZES),
    "wide bert": BertConfig(**SIZES | {"hidden_size": 32}),
    "roberta": RobertaConfig(**SIZES, pad_token_id=0, type_vocab_size=1),
    "distilbert": DistilBertConfig(vocab_size=60, dim=16, n_heads=2, n_layers=1, hidden_dim=24),
}
PFEIFFER = AdapterParams("pfeiffer", 4, "gelu", "whole", None)
HOULSBY = AdapterParams("houlsby", 4, "swish", "attention", None)
LANGUAGE = AdapterParams("pfeiffer", 2, "relu", "whole", 2)
LORA = LoraParts(2, 4.0, 0.1, ["query", "value"])
PARTS: dict[str, Parts] = {
    "pfeiffer": AdapterParts({"qa": PFEIFFER}, ["qa"]),
    "houlsby": AdapterParts({"qa": HOULSBY}, ["qa"]),
    "stack": AdapterParts({"language": LANGUAGE, "qa": PFEIFFER}, ["language", "qa"]),
    "fusion": AdapterParts({"qa": PFEIFFER, "entities": PFEIFFER}, [["qa", "entities"]]),
    "lora": LORA,
}
QA = AutoModelForQuestionAnswering
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])


def write_encoders(top: Path) -> Path:
    """Write an encoder of each configuration, and one of the same sizes again."""
    for number, (name, config) in enumerate([*CONFIGS.items(), ("other bert", CONFIGS["bert"])]):
        torch.manual_seed(number)
        QA.from_config(config).base_model.save_pretrained(top / name)
    return top


def pin(encoder: Path) -> PretrainedParams:
    return PretrainedParams(str(encoder), sha256(encoder / "model.safetensors"))


def made(encoder: Path, parts: Parts, auto: Any = QA, seed: int = 5) -> PreTrainedModel:
    """A model whose parts and head are drawn at random, as if they had been trained."""
    model = load_encoder(auto, encoder, encoder_config(encoder, None))
    insert(model, parts)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3)
    return model.eval()


def stored(model: PreTrainedModel, encoder: Path, folder: Path) -> Path:
    work = folder.with_name(f"{folder.name}-checkpoint")
    model.save_pretrained(work)
    publish(work, folder, tiny.wordpiece(), pin(encoder))
    return folder


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat(model(input_ids=IDS, attention_mask=MASK).to_tuple())
