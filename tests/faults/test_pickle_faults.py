"""What pickled weights could try, and how they become safetensors: a row for each fault."""

import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pickles
import pytest
import torch
from pickles import WEIGHTS, Command, Expression, Payload
from safetensors.torch import load_file

from retune.core.errors import RetuneError
from retune.core.files import read_json, sha256
from retune.core.manifests import NAME as MANIFEST
from retune.models import pickled_weights, weights_converter
from retune.models.pickled_weights import convert
from retune.models.pretrained_files import PretrainedParams, resolve

OTHER_SUM = "0" * 64


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "executed"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pretrained model with pickled weights only."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    torch.save(WEIGHTS, folder / "pytorch_model.bin")
    return folder


def params(folder: Path, **more: str) -> PretrainedParams:
    return PretrainedParams(str(folder), OTHER_SUM, **more)


@pytest.mark.parametrize("kind", [Payload, Command, Expression])
def test_the_payloads_work(kind: type[Payload], mark: Path) -> None:
    pickle.loads(pickle.dumps(kind(mark)))
    assert mark.exists()


def test_d31_pickled_weights_without_a_sum_are_not_opened(folder: Path, mark: Path) -> None:
    pickles.plain(folder / "pytorch_model.bin", Payload(mark))
    found = sha256(folder / "pytorch_model.bin")
    message = rf"^checkpoint\.pickle_sha256: .*trust its origin, set `pickle_sha256: {found}`"
    with pytest.raises(RetuneError, match=message):
        resolve(params(folder))
    assert not mark.exists()


def test_d32_pickled_weights_of_another_sum_are_not_opened(folder: Path, mark: Path) -> None:
    pickles.plain(folder / "pytorch_model.bin", Payload(mark))
    with pytest.raises(RetuneError, match=rf"pickle_sha256: .* has SHA-256 .*expected {OTHER_SUM}"):
        resolve(params(folder, pickle_sha256=OTHER_SUM))
    assert not mark.exists()
    assert not list((folder.parent / "cache" / "converted").glob("*/"))


def legacy(path: Path, value: Any) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def save(path: Path, value: Any) -> None:
    torch.save(value, path)


@pytest.mark.parametrize(
    ("kind", "write", "called"),
    [
        pytest.param(Payload, save, "posix.mkdir", id="D33 folder made, zip form"),
        pytest.param(Command, save, "posix.system", id="D33 shell's command, zip form"),
        pytest.param(Expression, save, "eval", id="D33 expression, zip form"),
        pytest.param(Command, legacy, "posix.system", id="D33 shell's command, old form"),
        pytest.param(Command, pickles.plain, "_load_from_bytes", id="D33 ordinary pickle"),
        pytest.param(Command, None, "not a pickle of plain", id="D33 archive in an archive"),
    ],
)
def test_code_in_a_pickle_is_refused_by_the_reader(
    kind: type[Payload],
    write: Callable[[Path, Any], None] | None,
    called: str,
    tmp_path: Path,
    mark: Path,
) -> None:
    path = tmp_path / "pytorch_model.bin"
    if write is None:
        pickles.nested(path, mark)
    else:
        write(path, {**WEIGHTS, "x": kind(mark)})
    with pytest.raises(Exception, match="Weights only load failed") as caught:
        torch.load(path, map_location="cpu", weights_only=True)
    assert not mark.exists()
    told = weights_converter.reason(caught.value)
    assert called in told
    assert "weights_only" not in told  # torch advises to switch it off


def test_d33_code_in_a_pickle_is_not_run_by_a_stage(folder: Path, mark: Path) -> None:
    torch.save({**WEIGHTS, "x": Command(mark)}, folder / "pytorch_model.bin")
    pin = sha256(folder / "pytorch_model.bin")
    message = r"^checkpoint\.name: .* is refused: it asks for posix\.system.*Nothing in it was run"
    with pytest.raises(RetuneError, match=message):
        resolve(params(folder, pickle_sha256=pin))
    assert not mark.exists()


def test_d34_a_pickle_that_unfolds_in_memory_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    pickles.memory_bomb(path, 2**31 - 1)
    assert path.stat().st_size < 1000
    with pytest.raises(RetuneError, match="refused: it asks for more memory than its size"):
        convert(tmp_path, sha256(path), [])


def test_d35_a_pickle_that_never_ends_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pytorch_model.bin"
    pickles.archived(path, pickles.endless())
    monkeypatch.setattr(pickled_weights, "PROCESSOR_SECONDS", 0)
    with pytest.raises(RetuneError, match="refused: reading it took more than 0 seconds of proc"):
        convert(tmp_path, sha256(path), [])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        pytest.param("timeout", "took more than 1,800 seconds", id="D35 clock"),
        pytest.param("signal", "ended by SIGSEGV, as happens if it needs", id="D35 crash"),
    ],
)
def test_a_conversion_that_is_cut_off_is_refused(
    how: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        if how == "timeout":
            raise subprocess.TimeoutExpired(command, 1800.0)
        return subprocess.CompletedProcess(command, -11, b"", b"")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RetuneError, match=message):
        convert(folder, sha256(folder / "pytorch_model.bin"), [])
    assert not list((folder.parent / "cache" / "converted").glob("*/"))


ONE = torch.ones(2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param({"a": 1}, "entry 'a' is a value of type int", id="D36 number"),
        pytest.param({"a": {"b": ONE}}, "entry 'a' is a value of type dict", id="D36 nested"),
        pytest.param({3: ONE}, "a value of type int as a name", id="D36 name"),
        pytest.param(ONE, "a value of type Tensor instead of tensors by name", id="D36 tensor"),
        pytest.param({}, "holds no tensor", id="D36 nothing"),
        pytest.param({"a": ONE.to_sparse()}, r"sparse_coo", id="D36 sparse"),
        pytest.param({"a": torch.ones(2, device="meta")}, "meta", id="D36 no memory"),
        pytest.param({"a": ONE.to(torch.complex64)}, "complex64", id="D36 complex"),
        pytest.param({"a": ONE[:1].expand(100)}, "over 4 times the file", id="D36 unfolded"),
    ],
)
def test_what_is_no_plain_tensor_is_refused(value: Any, message: str) -> None:
    with pytest.raises(weights_converter.RefusedError, match=message):
        weights_converter.plain_tensors(value, 64)


def test_tied_weights_and_parts_of_weights_get_memory_of_their_own() -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    value = {"a": whole, "tied": whole, "row": whole[1], "turned": whole.T}
    plain = weights_converter.plain_tensors(value, 1000)
    assert all(torch.equal(plain[name], value[name]) for name in value)
    places = {tensor.untyped_storage().data_ptr() for tensor in plain.values()}
    assert len(places) == len(value)
    assert all(tensor.is_contiguous() for tensor in plain.values())


def test_d37_pickled_weights_are_converted_once_with_a_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy(folder / "pytorch_model.bin", WEIGHTS | {"tied": next(iter(WEIGHTS.values()))})
    pin = sha256(folder / "pytorch_model.bin")
    with pytest.raises(RetuneError, match=r"revision: .*`revision: [0-9a-f]{64}`") as caught:
        resolve(params(folder, pickle_sha256=pin))
    revision = str(caught.value).split("`revision: ")[1][:64]
    monkeypatch.setattr(subprocess, "run", None)  # the second use needs no process
    found = resolve(PretrainedParams(str(folder), revision, pin))
    weights = load_file(found / "model.safetensors")
    assert sorted(weights) == ["bert.embeddings.word_embeddings.weight", "tied"]
    assert all(torch.equal(each, next(iter(WEIGHTS.values()))) for each in weights.values())
    assert sorted(os.listdir(found)) == ["config.json", MANIFEST, "model.safetensors"]
    record = read_json(found / MANIFEST)
    assert record["converted_from"]["sha256"] == pin
    assert record["files"]["model.safetensors"]["sha256"] == revision


def written(source: Path, target: Path) -> str:
    """Stand in for the converter."""
    target.write_bytes(b"weights")
    return ""


def test_d38_a_damaged_conversion_is_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = sha256(folder / "pytorch_model.bin")

    monkeypatch.setattr(pickled_weights, "_refusal", written)
    found = convert(folder, pin, [folder / "config.json"])
    (found / "model.safetensors").write_bytes(b"damaged")
    assert convert(folder, pin, [folder / "config.json"]) == found
    assert (found / "model.safetensors").read_bytes() == b"weights"
    assert capsys.readouterr().err.count("converting ") == 2


def test_another_configuration_is_another_conversion(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickled_weights, "_refusal", written)
    pin = sha256(folder / "pytorch_model.bin")
    first = convert(folder, pin, [folder / "config.json"])
    other = Path(shutil.copytree(folder, folder.with_name("other")))
    (other / "config.json").write_text("{}")
    second = convert(other, pin, [other / "config.json"])
    assert first != second
    assert (second / "config.json").read_text() == "{}"
