"""Write pipeline_goldens.json: what the `question-answering` pipeline of transformers 4 answers.

transformers 5 dropped this pipeline, so that the script needs an environment of its own:

    python -m venv pipeline-env
    pipeline-env/bin/pip install transformers==4.57.6 torch==2.13.0 numpy
    pipeline-env/bin/python tests/reference/make_pipeline_goldens.py

It builds a tiny BERT with random weights and a WordPiece tokenizer from the texts below,
asks it with and without the null answer, and records for each window the logits, the
tokens' characters, and the answers of the pipeline's own postprocessing.

No context contains the same word twice: the pipeline adds up the scores of spans with the
same text, wherever they stand, where this project keeps spans at different places apart.
"""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    PreTrainedTokenizerFast,
    QuestionAnsweringPipeline,
)

SEED = 23  # chosen so that `check` passes and the null answer is among some windows' best
TOP_K = 20
MAX_ANSWER_LEN = 8
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
#: (id, question, context, window length, overlap)
QUESTIONS = [
    (
        "harbour",
        "Who rebuilt the harbour?",
        "After a winter storm broke its western pier, engineer Lise Monrad rebuilt the small "
        "harbour with granite from Bornholm between 1911 and 1914, at her own expense.",
        128,
        32,
    ),
    (
        "accents",
        "Where did Zoë sing?",
        "Zoë Åström sang “Élégie” in Łódź; critics — nearly all enthusiastic — called this "
        "première unforgettable, despite rain.",
        128,
        32,
    ),
    (
        "windows",
        "How do glaciers move?",
        "Glaciers flow because ice deforms under its own weight, sliding over bedrock where "
        "meltwater lubricates the base. Near margins, friction slows motion; crevasses open "
        "when tension exceeds strength. In Greenland some outlet streams travel forty metres "
        "daily, calving bergs into fjords, while polar sheets creep only centimetres yearly. "
        "Scientists measure speeds using satellite radar, stakes, repeated photographs and "
        "seismic arrays.",
        64,
        16,
    ),
]


def build_pipeline() -> QuestionAnsweringPipeline:
    """A pipeline around random weights that are the same at every run."""
    tokenizer = build_tokenizer([text for _, *texts, _, _ in QUESTIONS for text in texts])
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.3,
    )
    model = BertForQuestionAnswering(config).eval()
    with torch.no_grad():
        model.qa_outputs.weight.mul_(3.0)  # spread the logits
    return QuestionAnsweringPipeline(model=model, tokenizer=tokenizer)


def build_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """WordPiece over the words of `texts`, every second of them in two pieces."""
    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words = sorted(
        {
            word
            for text in texts
            for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
        }
    )
    pieces = {*words[::2], *(word for word in words if len(word) < 4)}
    for word in words:
        if word not in pieces:
            pieces |= {word[:2], f"##{word[2:]}"}
    vocabulary = [*SPECIALS, *sorted(pieces)]
    tokenizer = Tokenizer(
        models.WordPiece({word: row for row, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIALS, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **names)


def record(
    pipeline: QuestionAnsweringPipeline, question: str, context: str, length: int, overlap: int
) -> list[dict[str, Any]]:
    """Windows of one question, each with the pipeline's answers from this window alone."""
    example = pipeline.create_sample(question=question, context=context)
    windows = []
    for features in pipeline.preprocess(example, max_seq_len=length, doc_stride=overlap):
        encoding = features["encoding"]
        output = pipeline.forward(features)
        window = {
            "offsets": [list(pair) for pair in encoding.offsets],
            "in_context": [int(part == 1) for part in encoding.sequence_ids],
            "start_logits": output["start"][0].tolist(),
            "end_logits": output["end"][0].tolist(),
            "answers": answers(pipeline, output, with_null=False),
            "answers_with_null": answers(pipeline, output, with_null=True),
        }
        check(window, context)
        windows.append(window)
    return windows


def answers(
    pipeline: QuestionAnsweringPipeline, output: dict[str, Any], *, with_null: bool
) -> list[dict[str, Any]]:
    """The pipeline's n-best list for one window."""
    found: list[dict[str, Any]] = pipeline.postprocess(
        [output],
        top_k=TOP_K,
        max_answer_len=MAX_ANSWER_LEN,
        handle_impossible_answer=with_null,
        align_to_words=False,
    )
    return found


def check(window: dict[str, Any], context: str) -> None:
    """Refuse a window where rounding or merged texts could decide the order."""
    inside = zip(window["offsets"], window["in_context"], strict=True)
    tokens = [offsets for offsets, in_context in inside if in_context]
    texts = Counter(
        context[low:high].lower()
        for row, (low, _) in enumerate(tokens)
        for _, high in tokens[row : row + MAX_ANSWER_LEN]
    )
    for found in (window["answers"], window["answers_with_null"]):
        scores = [answer["score"] for answer in found]
        assert len(scores) == TOP_K
        assert all(texts[answer["answer"].lower()] <= 1 for answer in found)
        assert all(low < high * (1 - 1e-4) for high, low in pairwise(scores))


def main() -> None:
    """Write the file beside this script."""
    torch.set_num_threads(1)
    pipeline = build_pipeline()
    questions = []
    for id_, question, context, length, overlap in QUESTIONS:
        windows = record(pipeline, question, context, length, overlap)
        row = {"id": id_, "question": question, "context": context, "windows": windows}
        whole = pipeline(
            question=question,
            context=context,
            top_k=TOP_K,
            max_answer_len=MAX_ANSWER_LEN,
            max_seq_len=length,
            doc_stride=overlap,
            align_to_words=False,
        )
        assert len(windows) > 1 or whole == windows[0]["answers"]
        questions.append(row)
    goldens = {"top_k": TOP_K, "max_answer_len": MAX_ANSWER_LEN, "questions": questions}
    path = Path(__file__).with_name("pipeline_goldens.json")
    text = json.dumps(goldens, ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
