import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny

from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.core.params import Chosen, Params
from retune.models.pretrained_files import PretrainedParams, load_tokenizer
from retune.tasks.sentiment.models import bert
from retune.tasks.sentiment.vocabularies import checkpoint, require_own_ids, trained

TEXTS = ["A good film", "a GOOD day in Paris", "not a good film, not at all", "café"] * 5
UNUSED = PretrainedParams("nowhere", "0" * 64)


def made(*, cased: bool, size: int = 400):  # type: ignore[no-untyped-def]
    return trained.tokenizer(trained.Params(size, cased), UNUSED, iter(TEXTS))


def test_a_cased_vocabulary_tells_upper_case_from_lower_and_an_uncased_one_does_not() -> None:
    cased, uncased = made(cased=True), made(cased=False)
    assert cased("good")["input_ids"] != cased("GOOD")["input_ids"]
    assert uncased("good")["input_ids"] == uncased("GOOD")["input_ids"]
    assert uncased("cafe")["input_ids"] == uncased("café")["input_ids"]
    assert cased.convert_ids_to_tokens(cased("good")["input_ids"]) == ["[CLS]", "Ġgood", "[SEP]"]
    assert cased.decode(cased("GOOD")["input_ids"], skip_special_tokens=True).strip() == "GOOD"


def test_a_character_that_no_text_has_is_read_byte_by_byte() -> None:
    tokenizer = made(cased=True)
    assert len(tokenizer("ж")["input_ids"]) == 1 + 3 + 1  # a space, and two bytes
    assert tokenizer.decode(tokenizer("ж")["input_ids"], skip_special_tokens=True).strip() == "ж"


def test_it_holds_no_more_pieces_than_allowed_and_the_special_ones() -> None:
    tokenizer = made(cased=True, size=270)
    assert len(tokenizer) == 270
    assert tokenizer.pad_token_id == 0
    assert tokenizer.num_special_tokens_to_add() == 2


def test_the_same_texts_give_the_same_bytes_and_a_saved_one_reads_alike(tmp_path: Path) -> None:
    for name in ("once", "again"):
        made(cased=False).save_pretrained(tmp_path / name)
    once, again = (sha256(tmp_path / name / "tokenizer.json") for name in ("once", "again"))
    assert once == again
    loaded = load_tokenizer(tmp_path / "once")
    assert loaded("A good film")["input_ids"] == made(cased=False)("A good film")["input_ids"]


def test_the_checkpoints_own_is_that_of_its_folder(tmp_path: Path) -> None:
    pinned = PretrainedParams(
        str(tmp_path / "encoder"), tiny.write_checkpoint(tmp_path / "encoder")
    )
    tokenizer = checkpoint.tokenizer(checkpoint.Params(), pinned, iter(TEXTS))
    assert tokenizer.get_vocab() == tiny.wordpiece().get_vocab()


def test_weights_of_a_checkpoint_are_refused_with_other_ids() -> None:
    pretrained, random = (Chosen(bert, SimpleNamespace(pretrained=each)) for each in (True, False))
    require_own_ids(pretrained, "checkpoint")
    require_own_ids(random, "trained")
    with pytest.raises(RetuneError, match=r"vocabulary: 'trained' has other ids .* bert starts"):
        require_own_ids(pretrained, "trained")


def test_a_vocabulary_too_small_for_an_alphabet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        json.dumps(
            {
                "sentiment": {
                    "vocabulary": "trained",
                    "vocabularies": {"trained": {"size": 20, "cased": True}},
                }
            }
        )
    )
    with pytest.raises(RetuneError, match=r"trained\.size"), Params(file) as params:
        params.variant(
            "sentiment.vocabulary", "retune.tasks.sentiment.vocabularies", "sentiment.vocabularies"
        )
