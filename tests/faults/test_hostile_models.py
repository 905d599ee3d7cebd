"""Model folders from elsewhere: manifests, configurations, weights and tokenizers as data."""

import importlib
import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from retune.core import manifests, params
from retune.core.artifacts import sealed
from retune.core.errors import RetuneError
from retune.core.plain_files import sha256
from retune.models import pretrained_files
from retune.models.config_safety import check_configuration, explained
from retune.models.encoders import encoder_config, load_encoder_embeddings
from retune.models.pretrained_files import WEIGHTS, PretrainedParams, load_tokenizer, resolve
from retune.models.tokenizer_checks import id_count
from retune.tasks.qa.models import bert
from retune.tasks.qa.predict.reader import load
from retune.tools.ask import asking

TASK = {"qa.squad_v2": False, "qa.model": "bert"}
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a train stage writes it, but for its manifest."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.write_checkpoint(folder)
    torch.manual_seed(0)
    model = bert.build(bert.Params(dropout=None), pinned(folder), 1, 0)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def pinned(folder: Path) -> Path:
    return resolve(PretrainedParams(str(folder), sha256(folder / WEIGHTS)))


def edit(path: Path, change: Change) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def seal(folder: Path) -> None:
    manifests.seal(folder, {"inputs": {"features": "0" * 64}, "params": TASK})


# Manifests.

DAMAGED = [
    pytest.param(lambda m: m.update(files=[]), "lists no files", id="V41 files as a list"),
    pytest.param(lambda m: m.update(params=[1]), r"its params are \[1\]", id="V41 params"),
    pytest.param(lambda m: m.update(inputs="x"), "its inputs are 'x'", id="V41 inputs"),
    pytest.param(lambda m: m["inputs"].update(raw=5), "inputs have 5 for 'raw'", id="V41 sum"),
    pytest.param(
        lambda m: m["files"].update({"config.json": 5}), "files have 5 for", id="V41 entry"
    ),
    pytest.param(
        lambda m: m["files"]["config.json"].update(sha256="x"), "files have .*'x'", id="V41 file"
    ),
    pytest.param(lambda m: m.pop("params"), "trained without qa.squad_v2", id="V41 no params"),
    pytest.param(
        lambda m: m["params"].update({"qa.squad_v2": "no"}), "is 'no', expected a bool",
        id="V41 squad_v2",
    ),
    pytest.param(
        lambda m: m["params"].update({"qa.model": ["bert"]}), r"is \['bert'\], expected a str",
        id="V41 model as a list",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), DAMAGED)
def test_a_damaged_manifest_is_told(folder: Path, change: Change, message: str) -> None:
    seal(folder)
    assert asking.trained_with(folder, {"qa.squad_v2": bool, "qa.model": str}) == [False, "bert"]
    edit(folder / manifests.NAME, change)
    with pytest.raises(RetuneError, match=message):
        asking.trained_with(folder, {"qa.squad_v2": bool, "qa.model": str})


def test_v41_any_flipped_bit_of_a_manifest_is_told_or_harmless(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "a").write_bytes(b"x")
    seal(folder)
    good = (folder / manifests.NAME).read_bytes()
    for bit in range(8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        (folder / manifests.NAME).write_bytes(data)
        try:
            squad_v2, model = asking.trained_with(folder, {"qa.squad_v2": bool, "qa.model": str})
        except RetuneError:
            continue
        assert isinstance(squad_v2, bool)
        assert isinstance(model, str)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda m: m.pop("inputs"), "it has no inputs", id="V41 stage no inputs"),
        pytest.param(
            lambda m: m["params"].update({"qa.modem": "x"}), "names the param 'qa.modem'",
            id="V41 stage unknown param",
        ),
    ],
)  # fmt: skip
def test_a_stage_refuses_a_damaged_manifest(folder: Path, change: Change, message: str) -> None:
    seal(folder)
    edit(folder / manifests.NAME, change)
    with pytest.raises(RetuneError, match=message), sealed({}, reads={"model": folder}, writes={}):
        pass


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../x", id="V42 path"),
        pytest.param("planted", id="V42 module beside the known ones"),
        pytest.param("_private", id="V42 private module"),
        pytest.param("", id="V42 empty"),
    ],
)
def test_a_name_from_a_file_is_never_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(params, "module_names", lambda package: ["bert", "lstm"])
    monkeypatch.setattr(importlib, "import_module", imported.append)
    with pytest.raises(RetuneError, match=r"its model is .*, which is unknown; known: bert, lstm"):
        params.import_known(name, "retune.tasks.qa.models", folder)
    assert imported == []


def test_v43_an_input_that_is_replaced_while_a_stage_runs(folder: Path, tmp_path: Path) -> None:
    seal(folder)
    out = tmp_path / "out"
    with (
        pytest.raises(RetuneError, match=r"config\.json: replaced or changed"),
        sealed({}, reads={"model": folder}, writes={"out": out}),
    ):
        out.mkdir()
        shutil.copyfile(folder / "config.json", tmp_path / "copy")
        os.replace(tmp_path / "copy", folder / "config.json")
    assert not (out / manifests.NAME).exists()


def test_v43_weights_that_are_replaced_before_they_are_loaded(folder: Path, tmp_path: Path) -> None:
    checkpoint = pinned(folder)
    weights = load_file(folder / WEIGHTS)
    save_file(weights, tmp_path / "other", {"format": "pt"})
    os.replace(tmp_path / "other", folder / WEIGHTS)
    with pytest.raises(RetuneError, match=r"model\.safetensors: replaced or changed"):
        bert.build(bert.Params(dropout=None), checkpoint, 1, 0)
    with pytest.raises(RetuneError, match=r"model\.safetensors: replaced or changed"):
        load_encoder_embeddings(checkpoint)


# Configurations and weights.

UNFIT = [
    pytest.param(
        {"num_hidden_layers": 1_000_000}, r"num_hidden_layers is 1000000, but .* of 2 layers",
        id="B31 a million layers",
    ),
    pytest.param({"vocab_size": 10**9}, "describes a model of 32,000,0", id="B32 vocabulary"),
    pytest.param({"hidden_size": 10**7}, "describes a model of", id="B32 hidden size"),
    pytest.param({"max_position_embeddings": 10**10}, "describes a model", id="B32 positions"),
    pytest.param({"intermediate_size": 10**8}, "describes a model of", id="B32 feed-forward"),
    pytest.param({"num_labels": 10**9}, "num_labels is 1,000,000,000; at most", id="B33 labels"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), UNFIT)
def test_a_model_far_larger_than_its_weights_is_never_built(
    folder: Path, changes: dict[str, int], message: str
) -> None:
    edit(folder / "config.json", lambda config: config.update(changes))
    with pytest.raises(RetuneError, match=message):
        load("bert", folder)
    with pytest.raises(RetuneError, match=message):
        bert.build(bert.Params(dropout=None), pinned(folder), 1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"num_hidden_layers": 3}, id="B34 a layer more"),
        pytest.param({"num_hidden_layers": 1}, id="B34 a layer less"),
        pytest.param({"num_hidden_layers": -1}, id="B34 fewer than none"),
    ],
)
def test_a_trained_model_has_all_of_its_weights_and_no_others(
    folder: Path, changes: dict[str, int]
) -> None:
    edit(folder / "config.json", lambda config: config.update(changes))
    with pytest.raises(
        RetuneError, match=r"differ in bert\.encoder\.layer\..*run the stage that writes it"
    ):
        load("bert", folder)


def test_b35_chunks_of_the_feed_forward_layers(folder: Path) -> None:
    edit(folder / "config.json", lambda config: config.update(chunk_size_feed_forward=3))
    assert encoder_config(folder, None).chunk_size_feed_forward == 0
    bert.build(bert.Params(dropout=None), pinned(folder), 1, 0)
    with pytest.raises(RetuneError, match=r"not a complete model: .*chunk size 3"):
        load("bert", folder)


def test_v45_memory_is_told_as_memory_and_not_as_a_broken_file() -> None:
    with pytest.raises(MemoryError), explained("a file"):
        raise MemoryError


# Tokenizers.


def vocabulary(ids: dict[str, int]) -> Change:
    return lambda content: content["model"]["vocab"].update(ids)


def normalizer(**content: Any) -> Change:
    return lambda tokenizer: tokenizer.update(normalizer=content)


def padding(**changes: Any) -> Change:
    sides = {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    start = {"strategy": "BatchLongest", "pad_to_multiple_of": None}
    return lambda content: content.update(padding=sides | start | changes)


BROKEN = [
    pytest.param(
        normalizer(type="Replace", pattern={"Regex": "("}, content=""),
        "cannot read the tokenizer in", id="K51 normalizer that is no regex",
    ),
    pytest.param(
        normalizer(type="Precompiled", precompiled_charsmap="AAAA"),
        "cannot read the tokenizer in .*PanicException", id="K51 normalizer that panics",
    ),
    pytest.param(
        vocabulary({"lighthouse": 5_000_000}), "but the id 5,000,000; .* damaged", id="K53 far id"
    ),
    pytest.param(
        padding(strategy={"Fixed": 10**12}), r"pads each text to 1,000,0", id="K54 fixed padding"
    ),
    pytest.param(
        padding(pad_to_multiple_of=10**12), r"pads each text to 1,000,0", id="K54 multiple"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_a_broken_tokenizer_is_refused_as_it_is_read(
    folder: Path, change: Change, message: str
) -> None:
    edit(folder / "tokenizer.json", change)
    with pytest.raises(RetuneError, match=message):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("abc", id="K52 text"),
        pytest.param(0, id="K52 none"),
        pytest.param(True, id="K52 truth"),
        pytest.param([5], id="K52 list"),
    ],
)
def test_the_longest_text_of_a_tokenizer_is_a_number(folder: Path, value: object) -> None:
    edit(folder / "tokenizer_config.json", lambda c: c.update(model_max_length=value))
    with pytest.raises(RetuneError, match=r"model_max_length in tokenizer_config\.json is .*1 or"):
        load_tokenizer(folder)


@pytest.mark.parametrize("absent", ["sentencepiece", "protobuf"])
def test_k56_a_sentencepiece_model_without_its_packages(
    absent: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)
    (folder / "spm.model").write_bytes(b"pieces")

    def version(name: str) -> str:
        if name == absent:
            raise PackageNotFoundError
        return "1"

    monkeypatch.setattr(pretrained_files, "version", version)
    message = rf"spm\.model is a SentencePiece model, which needs {absent}.*'\.\[sentencepiece\]'"
    with pytest.raises(RetuneError, match=message):
        load_tokenizer(folder)


def test_k53_an_id_beyond_the_tokens_needs_an_embedding(folder: Path) -> None:
    tokens = len(load_tokenizer(folder))
    edit(folder / "tokenizer.json", vocabulary({"lighthouse": 5000}))
    tokenizer = load_tokenizer(folder)
    assert len(tokenizer) == tokens
    assert id_count(tokenizer) == 5001
    with pytest.raises(RetuneError, match=f"embeddings for {tokens} tokens, but .* has 5001"):
        bert.build(bert.Params(dropout=None), pinned(folder), id_count(tokenizer), 0)


def test_k55_a_pipe_among_the_files_of_a_checkpoint(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    for read in (check_configuration, load_tokenizer, pinned):
        with pytest.raises(RetuneError, match=r"tokenizer\.json: a pipe"):
            read(folder)


def test_k55_no_user_of_that_name() -> None:
    with pytest.raises(RetuneError, match=r"'~nobody-of-that-name/x' cannot be a path"):
        resolve(PretrainedParams("~nobody-of-that-name/x", "0" * 64))
