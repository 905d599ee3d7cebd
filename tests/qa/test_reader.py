"""`retune.Reader` answers as the stages do, with the keys of transformers' old pipeline."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml
from pages import blocks
from trained_readers import calibrated, trained
from transformers import BertConfig, BertForQuestionAnswering

import retune
from retune import Reader
from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines
from retune.core.plain_files import sha256
from retune.inference import contexts
from retune.inference.contexts import RememberingWindower
from retune.models.pretrained_files import load_tokenizer
from retune.tasks.qa.download.word_bounds import whole_span
from retune.tasks.qa.tokenize.tokenize import TokenizeParams
from retune.tools.cli.main import main

__all__ = ["trained"]  # a fixture

TEXT = tiny.TEXTS[0]
QUESTION, OTHER = (question for question, _ in tiny.QUESTIONS[0][:2])


@pytest.fixture(scope="module")
def reader(trained: Path) -> Reader:
    """Its settings are those of the project, the folder above the model."""
    (trained / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    return Reader(trained / "model")


def test_an_answer_has_the_keys_of_the_old_pipeline_and_is_a_span(reader: Reader) -> None:
    found = reader(question=QUESTION, context=TEXT)
    assert {*found} == {"answer", "score", "start", "end", "confidence", "abstained"}
    assert TEXT[found["start"] : found["end"]] == found["answer"] != ""
    assert 0 < found["score"] <= 1
    assert found["confidence"] is None


def test_answers_to_a_file_are_those_of_the_command(
    reader: Reader, trained: Path, tmp_path: Path
) -> None:
    rows = [*read_json_lines(trained / "raw/validation.jsonl")]
    data, out = trained / "raw/validation.jsonl", tmp_path / "out"
    files = ["--model", str(trained / "model"), "--params", str(trained / "params.yaml")]
    assert main(["ask", *files, "--data", str(data), "--out", str(out)]) == 0
    answers = reader([row["question"] for row in rows], [row["context"] for row in rows])
    texts = {row["id"]: found["answer"] for row, found in zip(rows, answers, strict=True)}
    assert texts == read_json(out / "predictions.json")


def test_several_questions_and_answers_are_lists(reader: Reader) -> None:
    one, other = (reader(question, TEXT) for question in (QUESTION, OTHER))
    assert reader([QUESTION, OTHER], TEXT) == [one, other]
    assert reader([QUESTION], [TEXT]) == [one]
    best = reader(QUESTION, TEXT, top_k=3)
    assert best[0] == one
    assert len(best) == 3
    assert [found["score"] for found in best] == sorted((f["score"] for f in best), reverse=True)
    assert reader([QUESTION, OTHER], TEXT, top_k=3)[0] == best
    assert len(reader(QUESTION, TEXT, top_k=50)) > 20
    assert reader([], TEXT) == []


def test_options_have_the_names_of_the_old_pipeline(reader: Reader) -> None:
    short = reader(QUESTION, TEXT, max_answer_len=1)
    assert len(short["answer"].split()) == 1
    windows = reader(QUESTION, TEXT, max_seq_len=32, doc_stride=4, max_question_len=16)
    assert TEXT[windows["start"] : windows["end"]] == windows["answer"] != ""
    every = reader(QUESTION, TEXT, top_k=999, handle_impossible_answer=True)
    (null,) = (found for found in every if not found["answer"])
    assert (null["start"], null["end"]) == (0, 0)
    assert all(found["answer"] for found in reader(QUESTION, TEXT, top_k=999))


def test_an_answer_is_widened_to_whole_words_if_wanted(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words of this text are whole tokens; here the spans end within a word."""
    plain = reader(QUESTION, TEXT)
    assert reader(QUESTION, TEXT, align_to_words=True) == plain
    real = reader.model.ranked

    def cut_short(*arguments: Any, **options: Any) -> Any:
        for found in real(*arguments, **options):
            yield found._replace(end=[None if end is None else end - 1 for end in found.end])

    monkeypatch.setattr(reader.model, "ranked", cut_short)
    assert reader(QUESTION, TEXT)["answer"] == plain["answer"][:-1]
    assert reader(QUESTION, TEXT, align_to_words=True) == plain


@pytest.mark.parametrize(
    ("text", "span", "wide"),
    [
        ("It cost 3.5 km", "5 k", "3.5 km"),
        ("the well-known man", "known", "known"),
        ("caf\u0065\u0301s", "afe", "cafe\u0301s"),
        ("\u6771\u4eac\u90fd", "\u4eac", "\u4eac"),
        ("Ada", "Ada", "Ada"),
    ],
)
def test_words_are_those_of_the_script(text: str, span: str, wide: str) -> None:
    start, end = whole_span(text, text.index(span), text.index(span) + len(span))
    assert text[start:end] == wide


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((" ", TEXT), {}, "question is ' '; give a text"),
        ((None, TEXT), {}, "question is None; give a text, or a list of texts"),
        (({"question": QUESTION}, TEXT), {}, "question is {.*; give a text, or a list of texts"),
        (([QUESTION, None], TEXT), {}, "question 1 is None; give a text"),
        ((QUESTION, ""), {}, "context is ''; give a text"),
        ((QUESTION, 5), {}, "context is 5; give a text, or a list of texts"),
        (([QUESTION, OTHER], [TEXT]), {}, "2 questions and 1 contexts; give one context for all"),
        ((QUESTION, TEXT), {"top_k": 0}, "top_k is 0; give a whole number, 1 or more"),
        ((QUESTION, TEXT), {"top_k": "3"}, "top_k is '3'; give a whole number, 1 or more"),
        ((QUESTION, TEXT), {"max_answer_len": 0}, "max_answer_len is 0; give a whole number, 1"),
        ((QUESTION, TEXT), {"max_seq_len": 6}, "max_seq_len 6 .* raise max_seq_len, or lower"),
        ((QUESTION, TEXT), {"doc_stride": 127}, "doc_stride 127, the overlap of windows"),
        ((QUESTION, TEXT), {"max_seq_len": 1.5}, "max_seq_len is 1.5; give a whole number"),
        ((QUESTION, TEXT), {"align_to_words": 1}, "align_to_words is 1; give True or False"),
        ((QUESTION, TEXT), {"stride": 20}, "stride: no such option; allowed: .*doc_stride"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    reader: Reader, arguments: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RetuneError, match=message):
        reader(*arguments, **options)


def test_a_context_is_tokenized_once_for_all_its_questions(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = contexts.Windower.context_tokens

    def spied(self: Any, texts: list[str]) -> Any:
        seen.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(contexts.Windower, "context_tokens", spied)
    text = f"{TEXT} And more."
    first = reader([QUESTION, OTHER], text)
    assert reader(QUESTION, text) == first[0]  # a conversation
    assert seen == [text]


def test_the_tokens_of_old_contexts_are_forgotten(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(trained / "model")
    windower = RememberingWindower(tokenizer, TokenizeParams(64, 8, 16, "all", 1.0, 1.0))
    texts = [f"{TEXT} {number}" for number in range(4)]
    size = len(windower.context_tokens(texts[:1]).ids)
    monkeypatch.setattr(contexts, "_REMEMBERED", 2 * size + size // 2)
    for text in texts:
        windower.context_tokens([text])
    assert [*windower._memory.known] == texts[2:]
    twice = windower.context_tokens([texts[3], texts[0], texts[3]])
    assert twice.counts.tolist() == [size, size, size]
    together = windower.context_tokens(texts)  # more than are remembered, in one call
    plain = contexts.Windower(tokenizer, windower.params).context_tokens(texts)
    assert together.ids.tolist() == plain.ids.tolist()
    assert together.bounds.tolist() == plain.bounds.tolist()
    assert together.end.tolist() == plain.end.tolist()


def test_few_windows_are_in_memory_at_a_time(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [QUESTION, OTHER] * 5
    whole = reader(questions, TEXT, max_seq_len=32, doc_stride=4, max_question_len=16)
    sizes: list[int] = []
    real = RememberingWindower.cut

    def spied(self: Any, examples: Any, first_row: int) -> Any:
        sizes.append(len(examples))
        return real(self, examples, first_row=first_row)

    monkeypatch.setattr(RememberingWindower, "cut", spied)
    monkeypatch.setattr(contexts, "_TOGETHER", 3)
    again = reader(questions, TEXT, max_seq_len=32, doc_stride=4, max_question_len=16)
    assert again == whole
    assert sum(sizes) == 10
    assert max(sizes) <= 3


def test_confidence_is_that_of_a_calibrated_model_read_by_its_own_settings(
    reader: Reader, trained: Path, tmp_path: Path
) -> None:
    model = calibrated(trained, tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(trained / name, tmp_path)
    reader = Reader(model)
    found = reader(QUESTION, TEXT)
    odds = math.log(found["score"] / (1 - found["score"]))
    expected = 1 / (1 + math.exp(-(0.5 * odds + 0.1)))
    assert found["confidence"] == pytest.approx(expected, abs=1e-6)
    assert reader(QUESTION, TEXT, max_answer_len=2)["confidence"] is None
    assert reader(QUESTION, TEXT, handle_impossible_answer=True)["confidence"] is None
    assert reader(QUESTION, TEXT, top_k=2)[1]["confidence"] is None
    sure = Reader(model, min_confidence=expected + 0.01)
    withheld = sure(QUESTION, TEXT)
    assert sure(QUESTION, TEXT, top_k=3) == [withheld]
    with pytest.raises(RetuneError, match="min_confidence is for answers that the model's own"):
        sure(QUESTION, TEXT, max_answer_len=2)
    assert (withheld["answer"], withheld["start"], withheld["end"]) == ("", 0, 0)
    assert withheld["abstained"] is True
    assert found["abstained"] is False
    assert withheld["confidence"] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(RetuneError, match=r"min_confidence promised: .* too few .*Give a number"):
        Reader(model, min_confidence="promised")


@pytest.fixture(scope="module")
def foreign(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader that transformers saved."""
    folder = tmp_path_factory.mktemp("foreign") / "reader"
    tokenizer = load_tokenizer(trained / "model")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=16, **size)
    BertForQuestionAnswering(config).save_pretrained(folder)
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_of_transformers_answers_by_the_settings_that_retune_ships(foreign: Path) -> None:
    found = Reader(foreign)(QUESTION, TEXT)
    assert TEXT[found["start"] : found["end"]] == found["answer"] != ""
    pinned = Reader(foreign, revision=sha256(foreign / "model.safetensors"))
    assert pinned(QUESTION, TEXT) == found
    with pytest.raises(RetuneError, match=r"model\.safetensors"):
        Reader(foreign, revision="0" * 64)


def test_the_settings_that_retune_ships_are_those_of_its_params_file() -> None:
    from retune.core.params import Params
    from retune.inference.settings import ReaderSettings, read_settings

    shipped = read_settings(Params(Path(__file__).parents[2] / "params.yaml"))
    ours = ReaderSettings()
    assert (shipped.postprocess, shipped.predict) == (ours.postprocess, ours.predict)
    lengths = vars(shipped.tokenize) | {"max_lost_answers": 1.0, "max_unknown_tokens": 1.0}
    assert lengths == vars(ours.tokenize)


def test_a_params_file_can_be_named(trained: Path, tmp_path: Path) -> None:
    qa = yaml.safe_load((trained / "params.yaml").read_text("utf-8"))["qa"]
    qa["postprocess"]["max_answer_length"] = 1
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"qa": qa}), encoding="utf-8")
    found = Reader(trained / "model", params=tmp_path / "mine.yaml")(QUESTION, TEXT)
    assert len(found["answer"].split()) == 1


def test_a_folder_without_a_reader_is_refused(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(RetuneError, match="no such folder; for a model of the Hugging Face hub"):
        Reader("someone/reader")
    shutil.copytree(trained / "model", tmp_path / "model")
    (tmp_path / "model/adapter.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RetuneError, match=r"model/adapter.json: (damaged|not written)"):
        Reader(tmp_path / "model")


def test_only_what_there_is_can_be_imported() -> None:
    assert retune.Reader is Reader
    assert "Reader" in dir(retune)
    with pytest.raises(AttributeError, match="module 'retune' has no attribute 'Writer'"):
        retune.Writer  # noqa: B018


def test_the_example_in_the_guide_runs(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a model of another size, so only the form of what it prints is the guide's."""
    (block,) = blocks("docs/reader.md", "python")[:1]
    monkeypatch.chdir(trained)
    (trained / "data/qa").mkdir(parents=True, exist_ok=True)
    if not (trained / "data/qa/model").exists():
        shutil.copytree(trained / "model", trained / "data/qa/model")
    names: dict[str, Any] = {}
    exec(block, names)
    assert isinstance(names["reader"], Reader)
