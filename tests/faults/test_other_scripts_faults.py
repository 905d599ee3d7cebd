"""Texts in other scripts, and prompts that must not change each other's continuations: rows M."""

# ruff: noqa: RUF001 (letters of other scripts are meant)

from pathlib import Path
from typing import Any

import pytest
import torch
from language_runs import NO_CHECKPOINT, run_tokenize, write_raw
from transformers import GPT2Config, GPT2LMHeadModel

from retune.core.files import read_json, read_json_lines, write_json_lines
from retune.tasks.language_model.generate.decoding import Continuation, SamplingParams
from retune.tasks.language_model.generate.generation import GenerationParams, generate
from retune.tasks.language_model.generate.processors import ProcessorParams
from retune.tasks.language_model.score.rouge import rouge_n
from retune.tasks.language_model.score.rouge_words import TOKENIZERS, unicode_words
from retune.tasks.language_model.score.score import ScoreParams, score
from retune.tasks.language_model.tokenize.sentences import sentences


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("Кошка сидит, ёлка!", ["кошка", "сидит", "ёлка"], id="M51 Cyrillic"),
        pytest.param("ΟΔΟΣ οδός", ["οδοσ", "οδόσ"], id="M51 Greek"),
        pytest.param("القطة على السجّادة؟", ["القطة", "على", "السجّادة"], id="M51 Arabic"),
        pytest.param("نمی‌دانم، ۱۲", ["نمیدانم", "۱۲"], id="M51 Persian with a joiner"),
        pytest.param("हिन्दी कुत्ता।", ["हिन्दी", "कुत्ता"], id="M51 Hindi"),
        pytest.param("고양이가 앉아", ["고양이가", "앉아"], id="M51 Korean"),
        pytest.param("猫が座る。iPhone15", [*"猫が座る", "iphone15"], id="M51 Japanese"),
        pytest.param("แมว นั่ง", [*"แมวนั่ง"], id="M51 Thai"),
        pytest.param("ແມວ", [*"ແມວ"], id="M51 Lao"),
        pytest.param("ឆ្មា", [*"ឆ្មា"], id="M51 Khmer"),
        pytest.param("ကြောင်", [*"ကြောင်"], id="M51 Burmese"),
        pytest.param("Café — naïve\u0301, co-op_x", ["café", "naïv\u00e9", "co", "op", "x"],
                     id="M51 accents and punctuation"),
        pytest.param("❤️ 👩‍👧 …", [], id="M51 no word"),
    ],
)  # fmt: skip
def test_words_of_every_script_are_found(text: str, words: list[str]) -> None:
    found = unicode_words(text)
    assert found == words
    assert rouge_n(found, found, 1).f1 == bool(words)


#: A reference and a continuation in Cyrillic, two of punctuation alone, and an empty one.
SCORED = [("Кошка сидит.", "Кошка спит."), ("Да.", "..."), ("?!", ""), ("I see.", "I see.")]


@pytest.mark.parametrize(
    ("tokenizer", "references", "continuations", "remedy"),
    [
        pytest.param("unicode", 1, 1, "they hold neither letters nor digits", id="M52 unicode"),
        pytest.param("rouge_score", 3, 2, "set language_model.score.tokenizer: unicode if they",
                     id="M52 rouge_score"),
    ],
)  # fmt: skip
def test_texts_without_a_word_are_counted_and_warned_of(
    tokenizer: Any, references: int, continuations: int, remedy: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_scored(tmp_path)
    params = ScoreParams(None, tokenizer, 3, 10, 1)
    score(tmp_path, tmp_path, tmp_path / "m.json", params)
    values = read_json(tmp_path / "m.json")["language_model"]
    assert {
        "tokenizer": tokenizer,
        "references_without_words": references,
        "continuations_without_words": continuations,
    }.items() <= values["details"][0].items()
    words = TOKENIZERS[params.tokenizer]
    figures = [rouge_n(words(there), words(said), 1).f1 for there, said in SCORED]
    assert values["rouge_1_f1"] == pytest.approx(sum(figures) / 4)
    assert figures[0] == (0.5 if tokenizer == "unicode" else 0.0)
    warning = capsys.readouterr().err
    assert warning.startswith(
        f"warning: {references} references and {continuations} continuations of 4 have no word"
    )
    assert remedy in warning


def write_scored(folder: Path) -> None:
    rows = [
        {"id": str(n), "prompt_tokens": [1], "continuation": there, "continuation_tokens": [2],
         "text": said, "tokens": [2], "log_probability": -1.0, "ended": False}
        for n, (there, said) in enumerate(SCORED)
    ]  # fmt: skip
    for name in ("pairs", "continuations"):
        write_json_lines(folder / f"{name}.jsonl", rows)


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    special = {"bos_token_id": None, "eos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(**sizes, **special, initializer_range=0.3)).eval()


def drawn(
    model: GPT2LMHeadModel, prompts: list[list[int]], batch_size: int, seed: int = 1
) -> list[list[Continuation]]:
    no_processor = dict.fromkeys(["repetition_penalty", "ngram_block", "word_block", "min_length"])
    sampling = SamplingParams(temperature=1.2, top_k=20, top_p=0.95, continuations=2)
    params = GenerationParams(batch_size, 10, None, sampling, ProcessorParams(**no_processor))
    return generate(model, prompts, params, [2], seed)


PROMPTS = [[5], [6, 7, 8], [5], [9, 3, 4, 3, 4, 3, 4], [1, 2], [11, 12, 13, 14]]


@pytest.mark.parametrize(
    ("numbers", "batch_size"),
    [
        pytest.param([0, 1, 2, 3, 4, 5], 1, id="M53 one by one"),
        pytest.param([0, 1, 2, 3, 4, 5], 4, id="M53 in batches of four"),
        pytest.param([5, 4, 3, 2, 1, 0], 3, id="M53 in another order"),
        pytest.param([3, 1], 8, id="M53 without the others"),
    ],
)
def test_a_text_depends_on_its_prompt_and_the_seed_alone(
    numbers: list[int], batch_size: int, model: GPT2LMHeadModel
) -> None:
    together, other = drawn(model, PROMPTS, 8), drawn(model, PROMPTS, 8, seed=2)
    assert together[0] == together[2]
    assert together[0][0].tokens != together[0][1].tokens  # copies of a prompt differ
    assert [some[0].tokens for some in together] != [some[0].tokens for some in other]
    found = drawn(model, [PROMPTS[number] for number in numbers], batch_size)
    for number, some in zip(numbers, found, strict=True):
        assert [each.tokens for each in some] == [each.tokens for each in together[number]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("他走了。她问：“去哪？”没人说话！３．１４很好", ["他走了。", "她问：“去哪？”",
                     "没人说话！", "３．１４很好"], id="M54 Chinese"),
        pytest.param("雨だ！？ 帰ろう｡はい", ["雨だ！？", "帰ろう｡", "はい"], id="M54 Japanese"),
        pytest.param("यह एक है। वह दो॥ तीन? चार.", ["यह एक है।", "वह दो॥", "तीन?", "चार."],
                     id="M54 Hindi"),
        pytest.param("ما اسمك؟ اسمي د. أحمد. أين تسكن؟", ["ما اسمك؟", "اسمي د. أحمد.",
                     "أين تسكن؟"], id="M54 Arabic"),
        pytest.param("یہ ایک ہے۔ یہ دو۔", ["یہ ایک ہے۔", "یہ دو۔"], id="M54 Urdu"),
        pytest.param("ეს ერთია. ეს ორია.", ["ეს ერთია.", "ეს ორია."], id="M54 Georgian"),
        pytest.param("¿Qué? ¡Sí! «No.» Bien", ["¿Qué?", "¡Sí!", "«No.»", "Bien"],
                     id="M54 Spanish"),
        pytest.param("А. С. Пушкин жил. и вот. Так", ["А. С. Пушкин жил. и вот.", "Так"],
                     id="M54 Russian"),
    ],
)  # fmt: skip
def test_sentences_end_at_the_marks_of_their_script(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_m54_a_sentence_without_a_space_before_it_has_none_in_its_tokens(tmp_path: Path) -> None:
    texts = ["猫坐着。狗跑了。", "The cat sat. The dog ran."] * 3
    write_raw(tmp_path, train=texts, validation=texts)
    run_tokenize(tmp_path, checkpoint=NO_CHECKPOINT, min_frequency=1)
    rows = list(read_json_lines(tmp_path / "features" / "pairs.jsonl"))
    assert [row["continuation"] for row in rows[:2]] == ["狗跑了。", "The dog ran."]
    spaces = [row["continuation_tokens"][0] for row in rows[:2]]
    assert rows[1]["prompt_tokens"][0] != spaces[1] != spaces[0]
    from retune.models.pretrained_files import DECODER_TOKENS, load_tokenizer

    tokenizer = load_tokenizer(tmp_path / "features" / "tokenizer", DECODER_TOKENS)
    told = [tokenizer.decode(row["continuation_tokens"]) for row in rows[:2]]
    assert told == ["狗跑了。", " The dog ran."]
