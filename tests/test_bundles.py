"""Bundles: what was trained on a frozen encoder, stored without it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from bundle_runs import (
    IDS,
    LANGUAGE,
    LORA,
    MASK,
    PARTS,
    PFEIFFER,
    QA,
    logits,
    made,
    pin,
    stored,
    write_encoders,
)
from safetensors.torch import load_file
from stage_runs import run_python
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    BertConfig,
)

from retune.adapters.adapter_reuse import adapter_params, load_adapter
from retune.adapters.bundles import AdapterParts, insert, load, publish, weights_sum
from retune.adapters.layers import AdapterParams
from retune.core.files import sha256
from retune.models.pretrained_files import PretrainedParams


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("parts", PARTS)
def test_a_bundle_gives_the_same_bits_and_holds_no_weight_of_the_encoder(
    parts: str, family: str, encoders: Path, tmp_path: Path
) -> None:
    encoder = encoders / family
    model = made(encoder, PARTS[parts])
    folder = stored(model, encoder, tmp_path / "bundle")
    loaded = load(folder, QA)
    assert not loaded.training
    assert torch.equal(logits(loaded), logits(model))
    names = set(load_file(folder / "bundle.safetensors"))
    assert names == {name for name, weight in model.named_parameters() if weight.requires_grad}
    config = json.loads((folder / "config.json").read_text())
    base = {"name": str(encoder), "revision": pin(encoder).revision}
    assert config["bundle"]["base"] == base | {"sha256": pin(encoder).revision}
    assert {path.name for path in folder.iterdir()} == {
        "bundle.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


def test_a_bundle_names_the_pin_of_pickled_weights_and_loads_by_it(
    encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encoders / "bert"
    base = replace(pin(encoder), pickle_sha256="0" * 64)
    made(encoder, PARTS["pfeiffer"]).save_pretrained(tmp_path / "work")
    publish(tmp_path / "work", tmp_path / "bundle", tiny.wordpiece(), base)
    asked: list[PretrainedParams] = []
    monkeypatch.setattr("retune.adapters.bundles.locate", lambda p, _: asked.append(p) or encoder)
    load(tmp_path / "bundle", QA)
    assert asked == [base]


@pytest.mark.parametrize("auto", [AutoModelForMaskedLM, AutoModelForTokenClassification])
def test_other_tasks_have_bundles_too(auto: Any, encoders: Path, tmp_path: Path) -> None:
    parts = AdapterParts({"language": LANGUAGE}, ["language"])
    model = made(encoders / "bert", parts, auto)
    loaded = load(stored(model, encoders / "bert", tmp_path / "bundle"), auto)
    assert torch.equal(logits(loaded), logits(model))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("auto", [QA, AutoModelForMaskedLM])
def test_weights_as_deepspeed_gives_them_make_a_bundle_too(
    auto: Any, dtype: torch.dtype, encoders: Path, tmp_path: Path
) -> None:
    """Clones of all weights, in which none is shared any more, in the precision of the engine."""
    encoder = encoders / "bert"
    model = made(encoder, AdapterParts({"language": LANGUAGE}, ["language"]), auto)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.copy_(weight.to(dtype))
    weights = {name: weight.to(dtype, copy=True) for name, weight in model.state_dict().items()}
    model.save_pretrained(tmp_path / "work", state_dict=weights)
    publish(tmp_path / "work", tmp_path / "bundle", tiny.wordpiece(), pin(encoder))
    own = {f"bert.{name}" for name in load_file(encoder / "model.safetensors")}
    kept = set(load_file(tmp_path / "bundle/bundle.safetensors"))
    assert not kept & own
    assert not any("decoder.weight" in name for name in kept)  # is the encoder's, too
    assert torch.equal(logits(load(tmp_path / "bundle", auto)), logits(model))


def test_a_bundle_is_no_model_for_transformers(encoders: Path, tmp_path: Path) -> None:
    folder = stored(made(encoders / "bert", LORA), encoders / "bert", tmp_path / "bundle")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        QA.from_pretrained(folder)


def test_the_same_model_gives_the_same_bytes(encoders: Path, tmp_path: Path) -> None:
    one, two = (
        stored(made(encoders / "bert", PARTS["stack"]), encoders / "bert", tmp_path / name)
        for name in ("one", "two")
    )
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_a_fresh_process_gives_the_same_bits(encoders: Path, tmp_path: Path) -> None:
    model = made(encoders / "bert", PARTS["stack"])
    folder = stored(model, encoders / "bert", tmp_path / "bundle")
    code = (
        "import sys, torch; from pathlib import Path; from safetensors.torch import save_file\n"
        "from transformers import AutoModelForQuestionAnswering as Auto\n"
        "from retune.adapters.bundles import load\n"
        "folder = Path(sys.argv[1]); model = load(folder, Auto); torch.set_num_threads(1)\n"
        f"ids, mask = torch.tensor({IDS.tolist()}), torch.tensor({MASK.tolist()})\n"
        "with torch.inference_mode():\n"
        "    logits = torch.cat(model(input_ids=ids, attention_mask=mask).to_tuple())\n"
        "save_file({'logits': logits}, folder.with_suffix('.logits'))\n"
    )
    done = run_python("-c", code, str(folder))
    assert done.returncode == 0, done.stderr
    torch.set_num_threads(1)
    assert torch.equal(load_file(folder.with_suffix(".logits"))["logits"], logits(model))


def test_an_adapter_is_borrowed_and_frozen(encoders: Path, tmp_path: Path) -> None:
    encoder = encoders / "bert"
    parts = AdapterParts({"old": LANGUAGE}, ["old"])
    lender = made(encoder, parts, AutoModelForMaskedLM)
    folder = stored(lender, encoder, tmp_path / "language")
    found = adapter_params(folder)
    assert found[:3] == ("old", LANGUAGE, ["old"])
    assert found.language is None
    model = made(encoder, PARTS["stack"], seed=6)
    load_adapter(model, folder, "language", base=encoder)
    ours, theirs = dict(model.named_parameters()), dict(lender.named_parameters())
    borrowed = {name for name in ours if ".language." in name}
    assert len(borrowed) == 4 * 2 + 8  # two layers, and two networks at the embeddings
    for name in borrowed:
        assert torch.equal(ours[name], theirs[name.replace(".language.", ".old.")])
    trained = {name for name, weight in ours.items() if weight.requires_grad}
    assert trained == {name for name in ours if ".qa." in name or "qa_outputs" in name}
    again = stored(model, encoder, tmp_path / "stack")
    assert torch.equal(logits(load(again, QA)), logits(model))
    sources = json.loads((again / "config.json").read_text())["bundle"]["sources"]
    assert sources == {"language": sha256(folder / "bundle.safetensors")}
    last = adapter_params(again)
    assert (last.name, last.params, last.language) == ("qa", PFEIFFER, "language")


def test_the_notebooks_counts_are_reproduced() -> None:
    """BERT large with the Portuguese vocabulary, two adapters and a fusion; none in the last."""
    adapter = AdapterParams("pfeiffer", 16, "gelu", "none", None)
    with torch.device("meta"):
        model = QA.from_config(
            BertConfig(
                vocab_size=29_794, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
                intermediate_size=4096, max_position_embeddings=512,
            )
        )  # fmt: skip
        before = model.num_parameters()
        insert(model, AdapterParts({"qa": adapter, "entities": adapter}, [["qa", "entities"]]))
    added = model.num_parameters() - before
    assert (before, added, before + added) == (333_348_866, 78_478_208, 411_827_074)
    assert round(100 * added / before, 2) == 23.54
    assert model.num_parameters(only_trainable=True) == added + 2 * 1024 + 2


@pytest.mark.parametrize("revision", [40, 64])
def test_the_base_is_hashed_once_where_the_pin_is_its_sum(
    revision: int, encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []

    def counting(path: Path) -> str:
        hashed.append(path)
        return sha256(path)

    for module in ("models.pretrained_files", "adapters.bundles"):
        monkeypatch.setattr(f"retune.{module}.sha256", counting)
    base = pin(encoders / "bert")
    if revision == 40:  # as of a model of the hub
        monkeypatch.setattr("retune.adapters.bundles.resolve", lambda _: encoders / "bert")
        base = replace(base, revision=40 * "a")
    assert weights_sum(base) == sha256(encoders / "bert" / "model.safetensors")
    assert hashed == [encoders / "bert" / "model.safetensors"]
