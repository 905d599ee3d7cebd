"""Back-translation, by tiny random translators: the search, the cache, and what is refused."""

import json
import shutil
import sys
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from stage_runs import run_python
from translators import WORDS, write_sentencepiece_translator, write_translator

from retune.core import manifests
from retune.core.errors import RetuneError
from retune.core.files import read_json, sha256
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.sentiment.augmenting import _translating, back_translation
from retune.tasks.sentiment.augmenting._translating import Decoding, translated
from retune.tasks.sentiment.augmenting.back_translation import Params, Pivot, augmented
from retune.tasks.sentiment.texts.examples import Example, write_examples

LONGEST = 12
END = 0  # the token's id
WAYS = {"there": 8.0, "back": 7.0}  # and how brief its translator is
TEXTS = [f"{a} {b}" for a in WORDS for b in WORDS[:5]] + ["good", "the film was good of year"]
PINNED = PretrainedParams("some/where", "0" * 40)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "translations"


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> PretrainedParams:
    return write_translator(tmp_path_factory.mktemp("translator") / "there", seed=1)


def run(
    texts: list[str], checkpoint: PretrainedParams, beams: int = 1, batch_size: int = 4,
    max_length: int = LONGEST,
) -> dict[str, str]:  # fmt: skip
    return translated(texts, checkpoint, "section", Decoding(beams, batch_size, max_length))


def greedy(folder: Path, text: str) -> str:
    """The translation by the definition: the likeliest token, time after time."""
    tokens = greedy_tokens(folder, text)
    said = tokenizer_of(folder).decode(tokens, skip_special_tokens=True)
    return str(said) if tokens[-1] == END else ""


def greedy_tokens(folder: Path, text: str) -> list[int]:
    """What follows the start token, with the end where it comes in time."""
    import torch
    from transformers import MarianMTModel

    model: Any = MarianMTModel.from_pretrained(folder).eval()
    source = tokenizer_of(folder)(text, return_tensors="pt")["input_ids"]
    tokens, pad = [model.config.decoder_start_token_id], model.config.pad_token_id
    while len(tokens) <= LONGEST and tokens[-1] != END:
        with torch.inference_mode():
            logits = model(input_ids=source, decoder_input_ids=torch.tensor([tokens])).logits[0, -1]
            logits[pad] = -torch.inf
        tokens.append(int(logits.argmax()))
    return tokens[1:]


def tokenizer_of(folder: Path) -> Any:
    from transformers import MarianTokenizer, PreTrainedTokenizerFast

    if (folder / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(folder)
    return MarianTokenizer.from_pretrained(folder, sp_model_kwargs={})


def test_one_beam_is_greedy_and_what_is_not_finished_is_empty(
    translator: PretrainedParams,
) -> None:
    found = run(TEXTS, translator)
    some = sorted(text for text in found if found[text])[:4]
    cut = sorted(text for text in found if not found[text])[:2]
    assert len(some) == 4
    assert len(cut) == 2
    for text in some + cut:
        assert found[text] == greedy(Path(translator.name), text)


def test_batches_change_nothing_and_beams_do(translator: PretrainedParams, cache: Path) -> None:
    alone = run(TEXTS, translator, beams=3, batch_size=1)
    for file in cache.iterdir():
        file.unlink()
    assert run(TEXTS[::-1], translator, beams=3, batch_size=7) == alone
    assert run(TEXTS, translator, beams=1) != alone


def test_a_second_run_translates_nothing(
    translator: PretrainedParams, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    first = run(TEXTS, translator)
    (file,) = cache.iterdir()
    before = file.read_bytes()
    monkeypatch.setattr(_translating, "_Translator", None)  # none can be made
    assert run(TEXTS, translator) == first
    assert file.read_bytes() == before
    with pytest.raises(TypeError):
        run(["a new text"], translator)


def test_only_what_is_new_is_translated_and_the_rest_is_kept(
    translator: PretrainedParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(TEXTS[:3], translator)
    asked: list[str] = []
    whole = _translating._Translator.translations

    def noting(self: Any, texts: Any) -> Any:
        asked.extend(texts)
        return whole(self, texts)

    monkeypatch.setattr(_translating._Translator, "translations", noting)
    both = run(TEXTS[:5], translator)
    assert sorted(asked) == sorted(TEXTS[3:5])
    assert {text: both[text] for text in TEXTS[:3]} == first


def test_another_revision_or_search_has_a_cache_of_its_own(
    translator: PretrainedParams, cache: Path, tmp_path: Path
) -> None:
    other = write_translator(tmp_path / "other", seed=2)
    run(TEXTS[:2], translator)
    run(TEXTS[:2], other)
    run(TEXTS[:2], translator, beams=2)
    run(TEXTS[:2], translator, max_length=5)
    run(TEXTS[:2], translator, batch_size=1)  # not another search
    assert len(list(cache.iterdir())) == 4


def test_another_tokenizer_has_a_cache_of_its_own(tmp_path: Path) -> None:
    translator = write_translator(tmp_path / "there", seed=1)
    text = next(text for text, found in run(TEXTS, translator).items() if found)
    before = run([text], translator)
    path = tmp_path / "there/tokenizer.json"
    words = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = words["model"]["vocab"]
    for one, other in pairwise(WORDS):
        vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    path.write_text(json.dumps(words), encoding="utf-8")
    assert run([text], translator) != before


@pytest.mark.parametrize("line", ['{"text": "good", "tra', '{"other": "good"}', "[1]"])
def test_a_damaged_cache_is_told(line: str, translator: PretrainedParams, cache: Path) -> None:
    run(["good"], translator)
    (file,) = cache.iterdir()
    file.write_text(line, encoding="utf-8")
    with pytest.raises(
        RetuneError, match=rf"{file.name}: damaged; rename it, and the stage translates"
    ):
        run(["good"], translator)


def test_what_was_translated_before_a_stop_is_kept(
    translator: PretrainedParams, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(_translating, "_PART", 2)
    whole, parts = _translating._Translator.translations, []

    def failing(self: Any, texts: Any) -> Any:
        parts.append(list(texts))
        if len(parts) == 2:
            raise KeyboardInterrupt
        return whole(self, texts)

    monkeypatch.setattr(_translating._Translator, "translations", failing)
    with pytest.raises(KeyboardInterrupt):
        run(TEXTS[:6], translator)
    (file,) = cache.iterdir()
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert sorted(row["text"] for row in rows) == sorted(parts[0])


def test_a_text_that_is_too_long_is_not_cut_but_left_out(translator: PretrainedParams) -> None:
    long = "good " * LONGEST  # and the end
    assert run([long], translator) == {long: ""}


def test_a_translation_may_fill_all_of_max_length(translator: PretrainedParams) -> None:
    ended = {text: greedy_tokens(Path(translator.name), text) for text in TEXTS[:20]}
    sizes = {text: len(tokens) for text, tokens in ended.items() if tokens[-1] == END}
    long = [text for text, size in sizes.items() if size > 3]  # two words and the end fit below
    assert len(long) > 2
    for text in long[:3]:
        assert run([text], translator, max_length=sizes[text])[text] != ""
        assert run([text], translator, max_length=sizes[text] - 1)[text] == ""


def test_a_text_with_a_special_token_is_left_out(tmp_path: Path) -> None:
    for translator in (
        write_translator(tmp_path / "fast", seed=1),
        write_sentencepiece_translator(tmp_path / "own"),
    ):
        for mark in ("</s>", "<pad>", "<unk>"):
            text = f"good {mark} film"
            assert run([text], translator)[text] == ""


def test_more_tokens_than_positions_are_refused(translator: PretrainedParams) -> None:
    assert run(["good"], translator, max_length=64)
    with pytest.raises(RetuneError, match=r"^section: .* has 64 positions; lower max_length to"):
        run(["good"], translator, max_length=65)


@pytest.mark.filterwarnings("ignore:Recommended")
def test_marians_own_tokenizer_is_read(tmp_path: Path) -> None:
    translator = write_sentencepiece_translator(tmp_path / "own")
    found = run(TEXTS, translator, max_length=LONGEST)
    some = sorted(text for text in found if found[text])[:4]
    assert len(some) == 4
    assert not any("▁" in found[text] for text in some)
    for text in some:
        assert found[text] == greedy(tmp_path / "own", text)


def test_without_sentencepiece_it_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = write_sentencepiece_translator(tmp_path / "own")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(RetuneError, match=r"^section: .* run `pip install sentencepiece`, or save"):
        run(TEXTS, translator)


def test_a_damaged_sentencepiece_file_is_told(tmp_path: Path) -> None:
    translator = write_sentencepiece_translator(tmp_path / "own")
    (tmp_path / "own/target.spm").write_bytes(b"nothing")
    with pytest.raises(RetuneError, match=r"^section: cannot read the tokenizer in .*own: "):
        run(TEXTS, translator)


def test_a_translator_into_several_languages_is_refused(tmp_path: Path) -> None:
    translator = write_sentencepiece_translator(tmp_path / "own", ">>fra<<", ">>ita<<")
    with pytest.raises(
        RetuneError, match=r"into the languages >>fra<<, >>ita<<, and none of them can"
    ):
        run(TEXTS, translator)


@pytest.mark.filterwarnings("ignore:Recommended")
def test_one_language_code_stands_before_each_text(tmp_path: Path) -> None:
    coded = write_sentencepiece_translator(tmp_path / "coded", ">>fra<<")
    found = run(TEXTS, coded)
    some = sorted(text for text in found if found[text])[:4]
    assert len(some) == 4
    for text in some:
        assert found[text] == greedy(tmp_path / "coded", f">>fra<< {text}")


def test_a_code_that_is_cut_up_is_refused(tmp_path: Path) -> None:
    translator = write_translator(tmp_path / "fast", seed=1)
    path = tmp_path / "fast/tokenizer.json"
    words = json.loads(path.read_text(encoding="utf-8"))
    words["model"]["vocab"][">>fra<<"] = words["model"]["vocab"].pop("year")
    path.write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(RetuneError, match=r"^section: the tokenizer in .* does not keep >>fra<<"):
        run(TEXTS, translator)


def test_a_vocabulary_of_the_output_must_be_there(tmp_path: Path) -> None:
    translator = write_sentencepiece_translator(tmp_path / "own")
    path = tmp_path / "own/tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) | {"separate_vocabs": True}
    path.write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(RetuneError, match=r"neither tokenizer\.json nor target_vocab\.json; save"):
        run(TEXTS, translator)


def spoilt(folder: Path, how: str) -> PretrainedParams:
    checkpoint = write_translator(folder, seed=1)
    if how == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    if how == "no pad":
        path = folder / "tokenizer_config.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        del settings["pad_token"]
        path.write_text(json.dumps(settings), encoding="utf-8")
    if how == "too few embeddings":
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        tokenizer.add_tokens(["more"])
        tokenizer.save_pretrained(folder)
    if how in {"other type", "more layers"}:
        change = {"model_type": "bert"} if how == "other type" else {"encoder_layers": 2}
        path = folder / "config.json"
        settings = json.loads(path.read_text(encoding="utf-8")) | change
        path.write_text(json.dumps(settings), encoding="utf-8")
    if how == "broken weights":
        (folder / "model.safetensors").write_bytes(b"nothing")
        checkpoint = PretrainedParams(str(folder), sha256(folder / "model.safetensors"))
    if how == "other weights":
        checkpoint = PretrainedParams(str(folder), "0" * 64)
    return checkpoint


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no tokenizer", r"^section: .* has no tokenizer: neither tokenizer\.json nor source\.spm"),
        ("no pad", r"^section: the tokenizer in .* names no pad_token or no eos_token; name them"),
        ("other type", r"^section: .* is of type 'bert'; allowed: marian"),
        ("more layers", r"^section: .* lacks weights: model\.encoder\.layers\.1\.\S+, .* more;"),
        ("too few embeddings", r"has embeddings for 15 tokens, but its tokenizer has 16"),
        ("broken weights", r"^section: transformers cannot load .* as a translator"),
        ("other weights", r"^section\.revision: .* has SHA-256 .*, but params ask for 000"),
    ],
)  # fmt: skip
def test_what_is_no_whole_translator_is_refused(how: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=message):
        run(TEXTS, spoilt(tmp_path / "spoilt", how))


def test_the_stage_augments_by_way_of_a_language_and_needs_no_model_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [Example(f"train-{n}", f"the {t}", n % 2, None, None) for n, t in enumerate(TEXTS)]
    Path("raw").mkdir()
    write_examples(Path("raw/train.jsonl"), rows)
    write_examples(Path("raw/validation.jsonl"), [])
    manifests.seal(Path("raw"), {"inputs": {}, "params": {}})
    pivot = {}
    for number, way in enumerate(WAYS):
        commit = str(number) * 40
        snapshot = f"hub/models--owner--{way}/snapshots/{commit}"
        write_translator(tmp_path / snapshot, 1, WAYS[way])
        pivot[way] = {"name": f"owner/{way}", "revision": commit}
    settings = {"pivots": {"fr": pivot}, "beams": 2, "batch_size": 8, "max_length": LONGEST}
    section = {"method": "back_translation", "methods": {"back_translation": settings}}
    Path("p.yaml").write_text(yaml.safe_dump({"sentiment": {"augment": section}}))
    run_stage()
    first = Path("augmented/train.jsonl").read_bytes()
    (entry,) = read_json(Path("metrics.json"))["sentiment"]["augment"]["methods"]
    assert entry["method"] == "back_translation_fr"
    assert entry["taken"] > 0
    assert sum(count for name, count in entry.items() if name != "method") == len(TEXTS)
    shutil.rmtree("hub")
    run_stage()
    assert Path("augmented/train.jsonl").read_bytes() == first


#: Run a module with another cache of the hub.
WITH_A_HUB = """
import runpy, sys
from huggingface_hub import constants
constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE = "hub", True
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def run_stage() -> None:
    words = ["stages.sentiment.augment", "--params", "p.yaml", "raw", "augmented", "metrics.json"]
    done = run_python("-c", WITH_A_HUB, *words, folder=Path.cwd())
    assert done.returncode == 0, done.stderr


# From here on without models.


def spoken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Translations that upper-case a text, and back with a mark; gives the sections asked for."""
    sections = []

    def translate(texts: Any, checkpoint: Any, section: str, decoding: Any) -> dict[str, str]:
        sections.append(section)
        there = section.endswith(".there")
        return {t: t.upper() if there else f"{t.lower()}!" for t in texts if t} | {"Lost": ""}

    monkeypatch.setattr(back_translation, "translated", translate)
    return sections


def params(*languages: str) -> Params:
    pivots = {language: Pivot(PINNED, PINNED) for language in languages}
    return Params(pivots=pivots, beams=1, batch_size=2, max_length=LONGEST)


def test_each_language_gives_a_candidate_of_each_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = spoken(monkeypatch)
    examples = [
        Example("train-1", "Good", 1, None, None),
        Example("train-2", "Lost", 0, None, None),
    ]
    assert list(augmented(examples, params("fr", "de"))) == [
        Example(f"train-{n}-back_translation_{language}", text, label, f"train-{n}",
                f"back_translation_{language}")
        for language in ("fr", "de")
        for n, text, label in ((1, "good!", 1), (2, "", 0))
    ]  # fmt: skip
    place = "sentiment.augment.methods.back_translation.pivots.fr"
    assert sections[:2] == [f"{place}.there", f"{place}.back"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pivots": {}}, "pivots"),
        ({"pivots": {"F R": {"there": asdict(PINNED), "back": asdict(PINNED)}}}, "pivots"),
        ({"pivots": {"fr": {"there": asdict(PINNED)}}}, "back"),
        ({"beams": 0}, "beams"),
        ({"max_length": 1.5}, "max_length"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    values = asdict(params("fr")) | changes
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Params).validate_json(json.dumps(values))


def test_the_section_is_read_from_a_mapping() -> None:
    values = asdict(params("fr", "pt_br"))
    assert TypeAdapter(Params).validate_json(json.dumps(values)) == params("fr", "pt_br")
