"""What a language model cannot continue, and continuations that cannot be compared: rows M."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from refusals import BEAMS, NO_PROCESSOR, case, refuse, seal_again, write_whole

from retune.core.files import read_json_lines, write_json_lines
from retune.tasks.language_model.models import load
from retune.tasks.language_model.tokenize.vocabulary import learn_tokenizer

DRAWN = {"temperature": 1.0, "top_k": None, "top_p": None, "continuations": 1}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def change_pair(data: Path, **fields: Any) -> None:
    """Give the first pair other fields, as if the tokenize stage had written them."""
    path = data / "features" / "pairs.jsonl"
    first, *rest = read_json_lines(path)
    write_json_lines(path, [first | fields, *rest])
    seal_again(data)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        case("M30 a pair longer than the context", "perplexity", {"continuation_tokens": [1] * 400},
             r"pairs\.jsonl: prompt and continuation 0: \d+ tokens are more than the 400 of the"),
        case("M30 a first sentence longer than it", "plots", {"prompt_tokens": [1] * 400},
             r"pairs\.jsonl: prompt 0: 400 tokens and 32 new ones are more than the 400"),
        case("M31 a prompt without a token", "generate", {"prompt_tokens": []},
             r"pairs\.jsonl: prompt 0 is empty; a model continues at least one token"),
        case("M31 a continuation without one", "perplexity", {"continuation_tokens": []},
             r"pairs\.jsonl: continuation 0 is empty; leave the pair out, and count it"),
        case("M34 a token that the model does not know", "generate", {"prompt_tokens": [1, 300]},
             r"pairs\.jsonl: prompt 0: token 300 is not in the model's vocabulary of 300"),
    ],
)  # fmt: skip
def test_pairs_that_cannot_be_read_are_refused(
    name: str, fields: dict[str, Any], message: str, data: Path
) -> None:
    change_pair(data, **fields)
    refuse(data, name, message)


def shown(text: str) -> dict[str, Any]:
    """Settings of the plots stage with a prompt."""
    return {
        "batch_size": 8, "length_penalty": 1.0,
        "prompts": [{"text": text, "beams": [2, 999], "max_new_tokens": 10}],
        "pairs": {"beams": [1], "max_new_tokens": 5, "repeated_ngram": 3},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        case("M30 more new tokens than there is room", "generate",
             {"generate": {"max_new_tokens": 400}},
             r"pairs\.jsonl: prompt 0: \d+ tokens and 400 new ones are more than the 400 of the"),
        case("M30 a prompt of the params", "plots", {"plots": shown("fish " * 400)},
             r"plots\.prompts: 'fish fish .*: prompt 0: \d+ tokens and 10 new ones are more than"),
        case("M31 a prompt of white space", "plots", {"plots": shown(" ")},
             r"plots\.prompts\.0\.text: "),
        case("M32 beams over the vocabulary", "generate",
             {"generate": {"beam_search": BEAMS | {"beams": 300}}},
             "beams: 300 are more than the 299 tokens of the model's vocabulary that a continuat"),
        case("M32 beams of a prompt of the params", "plots", {"plots": shown("fish")},
             r"plots\.prompts: 'fish': beams: 999 are more than the 299"),
        case("M33 an unknown processor", "generate",
             {"generate": {"processors": NO_PROCESSOR | {"beam_block": {"n": 3}}}},
             r"processors\.beam_block: unknown key.*\(allowed: repetition_penalty, ngram_block, w"),
        case("M33 a window of no word", "generate",
             {"generate": {"processors": NO_PROCESSOR | {"word_block": {"window": 0}}}},
             r"word_block\.window: input should be greater than or equal to 1; got 0"),
        case("M33 beams and sampling at once", "generate",
             {"generate": {"beam_search": BEAMS, "sampling": DRAWN}},
             "beam_search and sampling exclude each other; set one of them to null"),
        case("M33 a least length over the most", "generate",
             {"generate": {"processors": NO_PROCESSOR | {"min_length": {"tokens": 7}}}},
             "min_length: 7 tokens are more than max_new_tokens, 6; lower it"),
        case("M33 more continuations than beams", "generate",
             {"generate": {"beam_search": BEAMS | {"continuations": 3}}},
             "3 continuations are more than the 2 beams; raise `beams`"),
        case("M33 a temperature of 0", "generate",
             {"generate": {"sampling": DRAWN | {"temperature": 0.0}}},
             r"sampling\.temperature: input should be greater than or equal to 0\.001"),
        case("M33 a variant that there is not", "generate", {"variant": "tall"},
             "variants: no 'tall'; allowed: beams, greedy"),
        case("M36 windows longer than the context", "perplexity",
             {"perplexity": {"window": 500, "stride": 64, "batch_size": 8}},
             "window: 500 tokens are more than the 400 positions of the model; lower it"),
        case("M36 windows with nothing in common", "perplexity",
             {"perplexity": {"window": 64, "stride": 64, "batch_size": 8}},
             "a stride of 64 leaves windows of 64 tokens nothing in common; lower it"),
    ],
)  # fmt: skip
def test_settings_that_no_continuation_can_meet_are_refused(
    name: str, changes: dict[str, Any], message: str, data: Path
) -> None:
    refuse(data, name, message, **changes)


@pytest.mark.parametrize("name", ["generate", "perplexity", "plots"])
@pytest.mark.parametrize("size", [case("M34 a tokenizer of another vocabulary", 320)])
def test_another_tokenizer_than_the_models_is_refused(size: int, name: str, data: Path) -> None:
    learn_tokenizer(tiny.TEXTS, size, 1).save_pretrained(data / "features" / "tokenizer")
    seal_again(data)
    refuse(data, name, f"the model knows 300 tokens, but the tokenizer in .* has {size}; use the")


@pytest.mark.parametrize("search", [{"beam_search": None}, {"beam_search": BEAMS}])
@pytest.mark.parametrize(
    "blocked",
    [
        case("M35 no token is said twice", {"word_block": {"window": None}}),
        case("M35 no sequence of one token is", {"ngram_block": {"n": 1}}),
    ],
)
def test_processors_that_leave_no_token_are_told(
    search: dict[str, Any], blocked: dict[str, Any], data: Path
) -> None:
    processors = NO_PROCESSOR | blocked | {"min_length": {"tokens": 310}}
    generate = {"max_new_tokens": 310, "processors": processors, **search}
    refuse(data, "generate", "the score processors forbid every token that could follow prompt 0; "
           "loosen them", generate=generate)  # fmt: skip


@pytest.mark.parametrize("name", [case("M37 in what is said", "generate"),
                                  case("M37 in what is read", "perplexity")])  # fmt: skip
def test_probabilities_that_are_no_numbers_are_told(name: str, data: Path) -> None:
    model: Any = load(data / "before")
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(torch.nan)
    model.save_pretrained(data / "before")
    seal_again(data)
    refuse(data, name, "the model gives a probability that is not a number")


def appended(line: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text("utf-8") + line, encoding="utf-8")


@pytest.mark.parametrize("name", ["generate", "perplexity", "plots"])
@pytest.mark.parametrize(
    ("spoil", "again", "message"),
    [
        case("M38 no file", Path.unlink, False, r"pairs\.jsonl: missing; a stage reads only what"),
        case("M38 no file, as they wrote it", Path.unlink, True, r"pairs\.jsonl: no such file; r"),
        case("M38 changed", appended("\n"), False, r"pairs\.jsonl: damaged or changed since it w"),
        case("M38 a torn line", appended('{"id'), True, r"pairs\.jsonl:4: not valid JSON"),
        case("M38 a line that is no object", appended("3\n"), True, r"pairs\.jsonl:4: no field 'i"),
        case("M38 a field that lacks", appended('{"id": "a"}\n'), True,
             r"pairs\.jsonl:4: no field 'prompt_tokens'; run the stage that writes it again"),
        case("M38 no pair", lambda path: path.write_text(""), True,
             r"pairs\.jsonl: no pair of sentences; give validation texts of two sentences or more"),
    ],
)  # fmt: skip
def test_pairs_that_are_not_whole_are_refused(
    spoil: Callable[[Path], object], again: bool, message: str, name: str, data: Path
) -> None:
    spoil(data / "features" / "pairs.jsonl")
    if again:
        seal_again(data)
    refuse(data, name, message)
