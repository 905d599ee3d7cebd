"""A tiny corpus and tiny random encoders, made on the spot: nothing is downloaded."""

import json
from pathlib import Path
from typing import Any

TEXTS = [
    "The lighthouse was built by Ada Berg in 1871 on the island of Sula. It guided ships home.",
    "In 1902 the baker Jon Moe opened a shop near the harbour. He sold rye bread and cakes.",
    "The river Lomma flows for 90 miles through three valleys. Salmon return to it every autumn.",
    "Mara Lind wrote the first map of the coast in 1640. It was printed in the town of Vik.",
    "A storm in 1955 destroyed the old bridge. The new bridge of steel was opened by the mayor.",
    "The museum keeps 400 paintings. Most of them were given by the merchant Olav Dahl.",
]
QUESTIONS = [
    [("Who built the lighthouse?", "Ada Berg"), ("When was it built?", "1871")],
    [("Who opened a shop?", "Jon Moe"), ("What did he sell?", "rye bread and cakes")],
    [("How long is the river?", "90 miles"), ("What returns to it?", "Salmon")],
    [("Who wrote the map?", "Mara Lind"), ("Where was it printed?", "the town of Vik")],
    [("What destroyed the bridge?", "A storm"), ("What is it made of?", "steel")],
    [("How many paintings are there?", "400"), ("Who gave them?", "Olav Dahl")],
]
#: More articles, in words of the others.
MORE_TEXTS = [
    "The old lighthouse was given to the town in 1955. The mayor sold bread near the bridge.",
    "Jon Moe wrote a map of three valleys in 1640. Olav Dahl printed it in the harbour.",
]
MORE_QUESTIONS = [
    [("When was it given?", "1955"), ("Who sold bread?", "The mayor")],
    [("Who wrote the map of the valleys?", "Jon Moe"), ("Who printed it?", "Olav Dahl")],
]


def squad(rows: range, *, impossible: bool = False) -> dict[str, Any]:
    """The corpus in SQuAD's layout, one article a row; from row 6, those of `MORE_TEXTS`."""
    data = []
    texts, questions = [*TEXTS, *MORE_TEXTS], [*QUESTIONS, *MORE_QUESTIONS]
    for row in rows:
        qas = [
            {
                "id": f"q{row}-{number}",
                "question": question,
                "answers": [{"text": answer, "answer_start": texts[row].index(answer)}],
                **({"is_impossible": False} if impossible else {}),
            }
            for number, (question, answer) in enumerate(questions[row])
        ]
        if impossible:
            question = {"id": f"q{row}-none", "question": "Who sank the fleet?", "answers": []}
            qas.append(question | {"is_impossible": True})
        paragraphs = [{"context": texts[row], "qas": qas}]
        data.append({"title": f"Article {row}", "paragraphs": paragraphs})
    return {"version": "v2.0" if impossible else "1.1", "data": data}


def write_data(folder: Path, *, impossible: bool = False) -> None:
    """Write train.json (four articles), validation.json and test.json (two each)."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = {"train": range(4), "validation": range(6, 8), "test": range(4, 6)}
    for name, rows in splits.items():
        content = json.dumps(squad(rows, impossible=impossible))
        (folder / f"{name}.json").write_text(content, encoding="utf-8")


def vocabulary() -> list[str]:
    """Word pieces: the specials, every character of the corpus alone and inside, its words."""
    text = " ".join([*TEXTS, *(q for rows in QUESTIONS for pair in rows for q in pair)]).lower()
    letters = sorted(set(text) - {" "})
    words = sorted({"".join(c for c in word if c.isalnum()) for word in text.split()} - {""})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*pieces, *letters, *(f"##{c}" for c in letters), *(w for w in words if len(w) > 1)]


def wordpiece() -> Any:
    """A BERT tokenizer for the corpus."""
    from transformers import BertTokenizer

    pieces = vocabulary()
    return BertTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, model_max_length=512
    )


def byte_level() -> Any:
    """A RoBERTa tokenizer that splits every text into bytes."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import RobertaTokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    return RobertaTokenizer(vocab=vocab, merges=[], model_max_length=512)


def byte_pairs() -> Any:
    """A RoBERTa tokenizer that knows the words of the corpus, with the space before them."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizer

    learned = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learned.train_from_iterator(TEXTS, vocab_size=500, min_frequency=1, special_tokens=special)
    model = json.loads(learned.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    return RobertaTokenizer(vocab=model["vocab"], merges=merges, model_max_length=512)


def write_checkpoint(folder: Path, family: str = "bert", **changes: Any) -> str:
    """Write a random encoder with its tokenizer and return the SHA-256 of its weights.

    The `family` is "bert", which reads word pieces, or "roberta", which reads pairs of bytes.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    from retune.core.files import sha256

    torch.manual_seed(0)
    values: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
    }
    tokenizer = wordpiece()
    if family == "roberta":  # two positions are those of padding
        tokenizer = byte_pairs()
        values |= {"max_position_embeddings": 130, "type_vocab_size": 1, "pad_token_id": 1}
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **values | changes)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sha256(folder / "model.safetensors")


def write_bundle(folder: Path, encoder: Path, name: str, **changes: Any) -> Path:
    """Write the bundle of a random adapter `name` on the encoder in the folder `encoder`.

    The bundle names its base as seen from the folder around the encoder.
    """
    import contextlib
    import tempfile

    import torch
    from transformers import AutoModelForQuestionAnswering

    from retune.adapters.bundles import AdapterParts, insert, publish
    from retune.adapters.layers import AdapterParams
    from retune.core.files import sha256
    from retune.models.encoders import encoder_config, load_encoder
    from retune.models.pretrained_files import PretrainedParams

    values: dict[str, Any] = {
        "method": "pfeiffer", "reduction": 4, "non_linearity": "gelu", "last_layer": "whole",
        "invertible_reduction": None,
    }  # fmt: skip
    torch.manual_seed(len(name))
    config = encoder_config(encoder, None)
    model = load_encoder(AutoModelForQuestionAnswering, encoder, config)
    model.config.name_or_path = ""
    insert(model, AdapterParts({name: AdapterParams(**values | changes)}, [name]))
    pin = sha256(encoder / "model.safetensors")
    target = folder.absolute()
    with tempfile.TemporaryDirectory() as work, contextlib.chdir(encoder.parent):
        model.save_pretrained(work)
        publish(Path(work), target, wordpiece(), PretrainedParams(f"./{encoder.name}", pin))
    return folder
