"""Tiny random MarianMT models with fast tokenizers or SentencePiece files, made on the spot."""

import json
from pathlib import Path

from retune.core.files import sha256
from retune.models.pretrained_files import PretrainedParams

WORDS = ["the", "a", "film", "plot", "was", "is", "good", "dull", "music", "and", "of", "year"]


def write_translator(folder: Path, seed: int, brevity: float = 7.0) -> PretrainedParams:
    """Save a translator over `WORDS` to `folder`; how it is pinned.

    `brevity` is added to the logit of the end, which such a model would else seldom find.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["</s>", "<unk>", *WORDS, "<pad>"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="$A </s>", special_tokens=[("</s>", 0)]
    )
    write_model(folder, len(vocabulary), seed, brevity)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    return pinned(folder)


def write_sentencepiece_translator(folder: Path, *codes: str) -> PretrainedParams:
    """Save a translator with the files of most on the hub; `codes` are of target languages."""
    import sentencepiece

    texts = [f"{first} {second}" for first in WORDS for second in WORDS] * 4
    folder.mkdir(parents=True)
    for side in ("source", "target"):
        with (folder / f"{side}.spm").open("wb") as model:
            sentencepiece.SentencePieceTrainer.train(  # type: ignore[attr-defined]
                sentence_iterator=iter(texts), model_writer=model, vocab_size=40,
                hard_vocab_limit=False, minloglevel=2,
            )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(  # type: ignore[no-untyped-call]
        model_file=str(folder / "source.spm")
    )
    known = [pieces.id_to_piece(number) for number in range(3, pieces.get_piece_size())]
    words = ["</s>", "<unk>", *known, *codes, "<pad>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    settings = {"source_lang": "en", "target_lang": "fr", "sp_model_kwargs": SAMPLING}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    write_model(folder, len(words), seed=1, brevity=7.0)
    return pinned(folder)


# Cuts a text otherwise each time.
SAMPLING = {"enable_sampling": True, "nbest_size": -1, "alpha": 0.1}


def write_model(folder: Path, size: int, seed: int, brevity: float) -> None:
    """Save random weights for a vocabulary whose last word is the padding."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    config = MarianConfig(
        vocab_size=size, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_position_embeddings=64, pad_token_id=size - 1, eos_token_id=0,
        decoder_start_token_id=size - 1, forced_eos_token_id=0, init_std=1.0,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = MarianMTModel(config)
    model.final_logits_bias[0, 0] = brevity
    model.save_pretrained(folder)


def pinned(folder: Path) -> PretrainedParams:
    """The params of what is there."""
    return PretrainedParams(str(folder), sha256(folder / "model.safetensors"))
