"""Tiny random MarianMT models with fast tokenizers, made on the spot."""

from pathlib import Path

from retune.checkpoints import CheckpointParams
from retune.storage import sha256

WORDS = ["the", "a", "film", "plot", "was", "is", "good", "dull", "music", "and", "of", "year"]


def write_translator(folder: Path, seed: int, brevity: float = 7.0) -> CheckpointParams:
    """Save a translator over `WORDS` to `folder`; how it is pinned.

    `brevity` is added to the logit of the end, which such a model would else seldom find.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["</s>", "<unk>", *WORDS, "<pad>"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="$A </s>", special_tokens=[("</s>", 0)]
    )
    pad = len(vocabulary) - 1
    config = MarianConfig(
        vocab_size=len(vocabulary), d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_position_embeddings=64, pad_token_id=pad, eos_token_id=0,
        decoder_start_token_id=pad, forced_eos_token_id=0, init_std=1.0,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = MarianMTModel(config)
    model.final_logits_bias[0, 0] = brevity
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    return CheckpointParams(str(folder), sha256(folder / "model.safetensors"))
