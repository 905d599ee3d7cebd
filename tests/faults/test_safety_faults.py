"""What a hostile model folder or id could try: a row for each."""

import io
import json
import os
import pickle
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
import torch

from retune.core.errors import RetuneError
from retune.core.files import sha256, write_json
from retune.fetch.fetching import local_source
from retune.models.pretrained_files import PretrainedParams, load_tokenizer, resolve
from retune.tasks.qa.download.download import DownloadParams, download
from retune.tasks.qa.models import bert
from retune.tasks.qa.postprocess.logits import read_logits
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.windows.features import feature_batches, read_rows

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Payload:
    """Unpickling makes the file `mark`."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Where the payload leaves its mark, once it is run."""
    return tmp_path / "executed"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    tiny.write_checkpoint(folder)
    return folder


@pytest.fixture
def folder(encoder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(encoder, tmp_path / "checkpoint"))


def use(folder: Path) -> None:
    """All that the stages do with a pretrained and with a trained model."""
    checkpoint = resolve(PretrainedParams(str(folder), sha256(folder / "model.safetensors")))
    tokenizer = load_tokenizer(checkpoint)
    assert tokenizer("Who?")["input_ids"]
    model = bert.build(bert.Params(dropout=None), checkpoint, len(tokenizer), 0)
    model.save_pretrained(folder)  # with a head, which a trained model has
    load("bert", folder)


def test_the_payload_works(mark: Path) -> None:
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()


# Missing folders.


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        pytest.param("./absent", COMMIT, id="P22 relative path"),
        pytest.param("../absent", COMMIT, id="P22 path upwards"),
        pytest.param("/absent/model", COMMIT, id="P22 absolute path"),
        pytest.param("~/absent-model", COMMIT, id="P22 path from home"),
        pytest.param("data/models/mine", COMMIT, id="P22 path of three parts"),
        pytest.param("models/mine", "0" * 64, id="P22 looks like an id of the hub"),
        pytest.param("mine", "0" * 64, id="P22 looks like a short id"),
    ],
)
def test_a_missing_folder_is_never_asked_of_the_hub(
    name: str, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: asked.append(arguments))
    with pytest.raises(RetuneError, match=r"^checkpoint\.name: no such folder: "):
        resolve(PretrainedParams(name, revision))
    assert asked == []


# Pickles.


def torch_file(mark: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"bert.pooler.dense.bias": Payload(mark)}, buffer)
    return buffer.getvalue()


def plain_pickle(mark: Path) -> bytes:
    return pickle.dumps(Payload(mark))


def array(mark: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(mark)], dtype=object))
    return buffer.getvalue()


def arrays(mark: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("array.npy", array(mark))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("pytorch_model.bin", torch_file, id="T19 weights beside the safe ones"),
        pytest.param("training_args.bin", torch_file, id="T19 arguments of a training"),
        pytest.param("optimizer.pt", torch_file, id="T19 optimizer"),
        pytest.param("scheduler.pt", plain_pickle, id="T19 scheduler"),
        pytest.param("rng_state.pth", plain_pickle, id="T19 random states"),
        pytest.param("vocab.pkl", plain_pickle, id="T19 vocabulary"),
        pytest.param("tokenizer.pkl", plain_pickle, id="T19 tokenizer"),
        pytest.param("tf_model.h5", plain_pickle, id="T19 weights of TensorFlow"),
        pytest.param("flax_model.msgpack", plain_pickle, id="T19 weights of Flax"),
    ],
)
def test_a_pickle_beside_a_sound_checkpoint_is_never_opened(
    name: str, content: Callable[[Path], bytes], folder: Path, mark: Path
) -> None:
    (folder / name).write_bytes(content(mark))
    use(folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "pytorch_model.bin", r"pytorch_model\.bin is pickled, and no sum pins it",
            id="T19 pickled weights alone",
        ),
        pytest.param(
            "model.pt", r"has no model\.safetensors", id="T19 pickled weights by another name"
        ),
    ],
)  # fmt: skip
def test_pickled_weights_alone_are_refused(
    name: str, message: str, folder: Path, mark: Path
) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(torch_file(mark))
    with pytest.raises(RetuneError, match=message):
        resolve(PretrainedParams(str(folder), "0" * 64))
    with pytest.raises(RetuneError, match=f"{folder}: not a complete model"):
        load("bert", folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(torch_file, id="T19 torch archive named safetensors"),
        pytest.param(plain_pickle, id="T19 pickle named safetensors"),
    ],
)
def test_a_pickle_in_the_place_of_the_weights_is_refused(
    content: Callable[[Path], bytes], folder: Path, mark: Path
) -> None:
    (folder / "model.safetensors").write_bytes(content(mark))
    with pytest.raises(RetuneError, match=rf"cannot load {folder}.*(Safetensor|header)"):
        use(folder)
    with pytest.raises(RetuneError, match=f"{folder}: not a complete model"):
        load("bert", folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    "shard",
    [
        pytest.param("pytorch_model.bin", id="T19 index that leads to a pickle"),
        pytest.param("../shard.bin", id="T19 index that leads out of the folder"),
    ],
)
def test_an_index_of_shards_does_not_lead_to_a_pickle(shard: str, folder: Path, mark: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / shard).write_bytes(torch_file(mark))
    index = {"metadata": {}, "weight_map": {"bert.pooler.dense.bias": shard}}
    write_json(folder / "model.safetensors.index.json", index)
    with pytest.raises(RetuneError, match=f"{folder}: not a complete model"):
        load("bert", folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(array, id="T19 logits of objects"),
        pytest.param(arrays, id="T19 logits in an archive of objects"),
        pytest.param(plain_pickle, id="T19 logits that are a pickle"),
        pytest.param(torch_file, id="T19 logits that are a file of torch"),
        pytest.param(lambda _: b"\x93NUMPY\x01\0\x0c\0{'descr': ((", id="T19 logits, cut header"),
    ],
)
def test_logits_are_plain_numbers(
    content: Callable[[Path], bytes], tmp_path: Path, mark: Path
) -> None:
    counts = {"windows": 1, "tokens": 1}
    write_json(tmp_path / "windows.json", counts)
    (tmp_path / "logits.npy").write_bytes(content(mark))
    with pytest.raises(RetuneError, match=r"logits\.npy: damaged .*dvc repro predict"):
        read_logits(tmp_path, counts)
    assert not mark.exists()


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param("ARROW:extension:metadata", id="T19 features with a pickled type"),
        pytest.param("huggingface", id="T19 features with a pickle for a schema"),
    ],
)
def test_features_do_not_unpickle(metadata: str, tmp_path: Path, mark: Path) -> None:
    name = b"arrow.py_extension_type"
    extra = {b"ARROW:extension:name": name, metadata.encode(): plain_pickle(mark)}
    field = pa.field("example", pa.int64(), metadata=extra)
    schema = pa.schema([field], metadata={metadata.encode(): b"\x80\x04garbled"})
    path = tmp_path / "x.arrow"
    with pa.ipc.new_stream(str(path), schema) as stream:
        stream.write_batch(pa.record_batch([pa.array([1])], schema=schema))
    for read in (lambda: list(feature_batches(path)), lambda: read_rows(path)):
        with pytest.raises(RetuneError, match=f"{path}: (damaged|its columns are) .*dvc repro"):
            read()
    assert not mark.exists()


# Code by configuration.

CODE = "from pathlib import Path\nPath({mark!r}).mkdir()\nclass X: pass\n"
TO_CODE = {"AutoConfig": "evil.X", "AutoModelForQuestionAnswering": "evil.X"}


@pytest.mark.parametrize(
    ("file", "keys", "named"),
    [
        pytest.param("config.json", {"auto_map": TO_CODE}, "auto_map", id="T20 own classes"),
        pytest.param(
            "config.json",
            {"auto_map": {"AutoConfig": "someone/else--evil.X"}},
            "auto_map",
            id="T20 classes of another repository",
        ),
        pytest.param(
            "config.json",
            {"auto_map": TO_CODE, "model_type": "evil"},
            "auto_map",
            id="T20 own classes of an unknown type",
        ),
        pytest.param(
            "config.json", {"text_config": {"auto_map": TO_CODE}}, "auto_map", id="T20 inner object"
        ),
        pytest.param(
            "config.json",
            {"_attn_implementation_internal": "someone/kernel"},
            "_attn_implementation_internal",
            id="T20 kernel, by the private name",
        ),
        pytest.param(
            "config.json",
            {"_attn_implementation": "someone/kernel"},
            "_attn_implementation",
            id="T20 kernel, by the property",
        ),
        pytest.param(
            "config.json",
            {"attn_implementation": "someone/kernel"},
            "attn_implementation",
            id="T20 kernel, by the public name",
        ),
        pytest.param(
            "config.json",
            {"_experts_implementation_internal": "someone/kernel"},
            "_experts_implementation_internal",
            id="T20 kernel of experts",
        ),
        pytest.param("config.json", {"_anything": 1}, "_anything", id="T20 private name"),
        pytest.param(
            "config.json",
            {"transformers_weights": "other.safetensors"},
            "transformers_weights",
            id="T20 other weights",
        ),
        pytest.param(
            "config.json",
            {"quantization_config": {"quant_method": "gptq"}},
            "quantization_config",
            id="T20 quantizer",
        ),
        pytest.param(
            "config.json", {"trust_remote_code": True}, "trust_remote_code", id="T20 trust"
        ),
        pytest.param(
            "config.json",
            {"custom_pipelines": {"x": {"impl": "evil.X"}}},
            "custom_pipelines",
            id="T20 pipeline",
        ),
        pytest.param(
            "config.json",
            {"a": json.loads("[" * 99 + "]" * 99)},
            "nested too deeply",
            id="T20 depths",
        ),
        pytest.param(
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": ["evil.X", "evil.X"]}},
            "auto_map",
            id="T20 own tokenizer",
        ),
        pytest.param(
            "tokenizer_config.json",
            {"auto_map": ["evil.X", None]},
            "auto_map",
            id="T20 own tokenizer, old form",
        ),
    ],
)
def test_a_configuration_that_leads_to_code_is_refused(
    file: str, keys: dict[str, Any], named: str, folder: Path, mark: Path
) -> None:
    (folder / "evil.py").write_text(CODE.format(mark=str(mark)))
    values = json.loads((folder / file).read_text())
    write_json(folder / file, values | keys)
    weights = sha256(folder / "model.safetensors")
    for action in (
        lambda: resolve(PretrainedParams(str(folder), weights)),
        lambda: load_tokenizer(folder),
        lambda: bert.build(bert.Params(dropout=None), folder, 5, 0),
        lambda: load("bert", folder),
    ):
        with pytest.raises(RetuneError, match=rf"{folder / file}: refused because of .*{named}"):
            action()
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("adapter_config.json", id="T20 adapter, with a base model of its own"),
    ],
)
def test_an_adapter_is_refused(name: str, folder: Path) -> None:
    write_json(folder / name, {"base_model_name_or_path": "someone/else", "peft_type": "LORA"})
    with pytest.raises(RetuneError, match=r"holds an adapter .*merge it into the model"):
        use(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("evil.py", CODE, id="T20 code that nothing names"),
        pytest.param("modeling_bert.py", CODE, id="T20 code by a name of transformers"),
        pytest.param("custom_generate/generate.py", CODE, id="T20 code for generation"),
        pytest.param("chat_template.jinja", "{{ evil }}", id="T20 template"),
    ],
)
def test_code_beside_a_sound_checkpoint_is_not_run(
    name: str, content: str, folder: Path, mark: Path
) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content.replace("{mark!r}", repr(str(mark))))
    use(folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param("config.json", "[1]", id="T20 a list"),
        pytest.param("config.json", '{"model_type":', id="T20 cut JSON"),
        pytest.param("config.json", "[" * 5000, id="T20 deep JSON"),
        pytest.param("config.json", '{"model_type": ["bert"]}', id="T20 list for a type"),
        pytest.param("config.json", '{"model_type": "bert", "to_dict": 1}', id="T20 method"),
        pytest.param("config.json", '{"model_type": "bert", "attribute_map": 1}', id="T20 map"),
        pytest.param("config.json", '{"model_type": "bert", "hidden_size": "x"}', id="T20 size"),
        pytest.param("config.json", '{"model_type": "bert", "dtype": "evil"}', id="T20 dtype"),
        pytest.param("tokenizer_config.json", "[1]", id="T20 list for a tokenizer"),
        pytest.param("tokenizer_config.json", '{"tokenizer_class": 1}', id="T20 class a number"),
        pytest.param("tokenizer.json", '{"model": {"type": "Evil"}}', id="T20 unknown model"),
    ],
)
def test_a_broken_configuration_is_a_sentence(file: str, text: str, folder: Path) -> None:
    (folder / file).write_text(text)
    with pytest.raises(RetuneError, match=str(folder)):
        use(folder)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"_name_or_path": "/home/someone/model"}, id="T20 where it came from"),
        pytest.param({"_num_labels": 3, "_commit_hash": None}, id="T20 keys of old versions"),
        pytest.param({"id2label": {"0": "a"}, "label2id": {"_a": 0}}, id="T20 names of labels"),
        pytest.param({"gradient_checkpointing": False, "xla_device": True}, id="T20 unknown keys"),
    ],
)
def test_a_usual_configuration_is_not_refused(keys: dict[str, Any], folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", values | keys)
    use(folder)


# Ids and titles.

PARAMS = DownloadParams(
    train_limit=None, validation_limit=None, test_limit=None, validation_share=None, sample_seed=1,
    realign=False, unanswerable="drop", shared_contexts="error",
)  # fmt: skip


def write_data(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """The tiny corpus, its first article and question of train changed."""
    tiny.write_data(folder)
    content = tiny.squad(range(4))
    article = content["data"][0]
    change(article, article["paragraphs"][0]["qas"][0])
    (folder / "train.json").write_text(json.dumps(content), encoding="utf-8")


def run_download(top: Path) -> None:
    names = ("train", "validation", "test")
    sources = {name: [local_source(top / "own" / f"{name}.json", None)] for name in names}
    download(
        top / "raw", top / "test", top / "m.json", sources=sources, params=PARAMS, squad_v2=False
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../../escape", id="R11 path upwards"),
        pytest.param("..", id="R11 two dots"),
        pytest.param("a/b/c", id="R11 path"),
        pytest.param("/absolute/path", id="R11 absolute path"),
        pytest.param("C:\\windows\\x", id="R11 path of Windows"),
        pytest.param("~/home $(touch x) ; `x`", id="R11 shell"),
        pytest.param("train.jsonl", id="R11 name of an output"),
    ],
)
def test_ids_and_titles_never_become_paths(name: str, tmp_path: Path) -> None:
    top = tmp_path / "a" / "b" / "c"

    def change(article: dict[str, Any], question: dict[str, Any]) -> None:
        article["title"] = question["id"] = name

    write_data(top / "own", change)
    run_download(top)
    first = next(iter(read_examples(top / "raw" / "train.jsonl")))
    assert (first.id, first.title) == (name, name)
    made = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
    raw = {f"raw/{file}.jsonl" for file in ("train", "validation", "findings")}
    test = {f"test/{file}.jsonl" for file in ("test", "findings")}
    own = {f"own/{split}.json" for split in ("train", "validation", "test")}
    assert made == {"m.json"} | own | raw | test
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="R11 empty"),
        pytest.param("a\0b", id="R11 NUL"),
        pytest.param("a\nb", id="R11 line end"),
        pytest.param("a\x1b[31m", id="R11 escape sequence"),
        pytest.param("x" * 10_240, id="R11 ten kilobytes"),
        pytest.param("x" * 513, id="R11 a character too many"),
    ],
)
def test_ids_that_no_name_should_be_are_refused(name: str, tmp_path: Path) -> None:
    def change(_: dict[str, Any], question: dict[str, Any]) -> None:
        question["id"] = name

    write_data(tmp_path / "own", change)
    with pytest.raises(RetuneError, match=r"train\.json.*/data/0/paragraphs/0/qas/0/id") as caught:
        run_download(tmp_path)
    assert max(map(len, str(caught.value).splitlines())) < 400
    assert not (tmp_path / "raw").exists()


def test_an_id_of_512_characters_is_fine(tmp_path: Path) -> None:
    def change(_: dict[str, Any], question: dict[str, Any]) -> None:
        question["id"] = "x" * 512

    write_data(tmp_path / "own", change)
    run_download(tmp_path)
    assert (tmp_path / "raw").exists()
