"""The presets' checkpoints come by themselves from a hub, pickled ones too."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
import torch
from hub_server import COMMIT, HubServer, serving
from safetensors.torch import load_file

from retune.checkpoints import CheckpointParams, load_tokenizer, resolve
from retune.encoders import span_model
from retune.errors import RetuneError

TOKEN = "hf_secret"
NAME = "owner/encoder"


@pytest.fixture(scope="module")
def pickled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT as it was published years ago: pickled, in torch's old form, with old names."""
    folder = tmp_path_factory.mktemp("pickled")
    tiny.write_checkpoint(folder)
    weights = load_file(folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in weights.items()
    }
    bert = {f"bert.{name}": value for name, value in old.items()}
    torch.save(bert, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "model.safetensors").unlink()
    return folder


@pytest.fixture
def hub(pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with serving({NAME: pickled}, token=TOKEN) as server:
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server


def test_a_private_pickled_checkpoint_of_the_hub_becomes_a_model(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    params = CheckpointParams(NAME, COMMIT)
    folder = resolve(params)
    assert any(path.startswith("/cdn/") for _, path in hub.asked)
    tokenizer = load_tokenizer(folder)
    model = span_model(folder, None, len(tokenizer))  # strict about weights of the encoder
    assert model.bert.encoder.layer[0].output.LayerNorm.weight.eq(1.0).all()
    asked = len(hub.asked)
    assert resolve(params) == folder
    assert len(hub.asked) == asked  # the second use needs no network


def test_a_private_checkpoint_needs_a_token(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(RetuneError, match=r"the hub shows no model 'owner/encoder'.*set HF_TOKEN"):
        resolve(CheckpointParams(NAME, COMMIT))


def test_another_sum_than_the_pinned_one_is_refused_though_the_hub_states_it(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(RetuneError, match=r"^checkpoint\.pickle_sha256: .*expected 0{64}"):
        resolve(CheckpointParams(NAME, COMMIT, "0" * 64))
