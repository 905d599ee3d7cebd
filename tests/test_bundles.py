"""Bundles: what was trained on a frozen encoder, stored without it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
    BertConfig,
    DistilBertConfig,
    PreTrainedModel,
    RobertaConfig,
)

from retune.borrowing import BundleParams, adapter_params, bundle_folder, load_adapter
from retune.bundles import AdapterParts, LoraParts, Parts, insert, load, publish
from retune.checkpoints import CheckpointParams
from retune.encoders import encoder_config, load_encoder
from retune.errors import RetuneError
from retune.layers.adapters import AdapterParams
from retune.storage import sha256

SIZES: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 40,
}  # fmt: skip
CONFIGS = {
    "bert": BertConfig(**SIZES),
    "wide bert": BertConfig(**SIZES | {"hidden_size": 32}),
    "roberta": RobertaConfig(**SIZES, pad_token_id=0, type_vocab_size=1),
    "distilbert": DistilBertConfig(vocab_size=60, dim=16, n_heads=2, n_layers=1, hidden_dim=24),
}
PFEIFFER = AdapterParams("pfeiffer", 4, "gelu", "whole", None)
HOULSBY = AdapterParams("houlsby", 4, "swish", "attention", None)
LANGUAGE = AdapterParams("pfeiffer", 2, "relu", "whole", 2)
LORA = LoraParts(2, 4.0, 0.1, ["query", "value"])
PARTS: dict[str, Parts] = {
    "pfeiffer": AdapterParts({"qa": PFEIFFER}, ["qa"]),
    "houlsby": AdapterParts({"qa": HOULSBY}, ["qa"]),
    "stack": AdapterParts({"language": LANGUAGE, "qa": PFEIFFER}, ["language", "qa"]),
    "fusion": AdapterParts({"qa": PFEIFFER, "entities": PFEIFFER}, [["qa", "entities"]]),
    "lora": LORA,
}
QA = AutoModelForQuestionAnswering
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random encoder of each configuration, and one of the same sizes again."""
    top = tmp_path_factory.mktemp("encoders")
    for number, (name, config) in enumerate([*CONFIGS.items(), ("other bert", CONFIGS["bert"])]):
        torch.manual_seed(number)
        QA.from_config(config).base_model.save_pretrained(top / name)
    return top


def pin(encoder: Path) -> CheckpointParams:
    return CheckpointParams(str(encoder), sha256(encoder / "model.safetensors"))


def made(encoder: Path, parts: Parts, auto: Any = QA, seed: int = 5) -> PreTrainedModel:
    """A model whose parts and head are drawn at random, as if they had been trained."""
    model = load_encoder(auto, encoder, encoder_config(encoder, None))
    insert(model, parts)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3)
    return model.eval()


def stored(model: PreTrainedModel, encoder: Path, folder: Path) -> Path:
    work = folder.with_name(f"{folder.name}-checkpoint")
    model.save_pretrained(work)
    publish(work, folder, pin(encoder), tiny.wordpiece())
    return folder


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat(model(input_ids=IDS, attention_mask=MASK).to_tuple())


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


@pytest.mark.parametrize("auto", [AutoModelForMaskedLM, AutoModelForTokenClassification])
def test_other_tasks_have_bundles_too(auto: Any, encoders: Path, tmp_path: Path) -> None:
    parts = AdapterParts({"language": LANGUAGE}, ["language"])
    model = made(encoders / "bert", parts, auto)
    loaded = load(stored(model, encoders / "bert", tmp_path / "bundle"), auto)
    assert torch.equal(logits(loaded), logits(model))


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
        "from retune.bundles import load\n"
        "folder = Path(sys.argv[1]); model = load(folder, Auto); torch.set_num_threads(1)\n"
        f"ids, mask = torch.tensor({IDS.tolist()}), torch.tensor({MASK.tolist()})\n"
        "with torch.inference_mode():\n"
        "    logits = torch.cat(model(input_ids=ids, attention_mask=mask).to_tuple())\n"
        "save_file({'logits': logits}, folder.with_suffix('.logits'))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
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


Spoil = Callable[[Path, Path], object]


def described(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change what config.json says."""

    def spoil(bundle: Path, _: Path) -> None:
        config = json.loads((bundle / "config.json").read_text())
        change(config)
        (bundle / "config.json").write_text(json.dumps(config))

    return spoil


def weighted(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change the weights."""

    def spoil(bundle: Path, _: Path) -> None:
        weights = load_file(bundle / "bundle.safetensors")
        change(weights)
        save_file(weights, bundle / "bundle.safetensors")

    return spoil


def cut(bundle: Path, _: Path) -> None:
    path = bundle / "bundle.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


UP = "bert.encoder.layer.1.output.adapters.qa.up.weight"
SPOILT: dict[str, tuple[Spoil, str]] = {
    "no base": (lambda _, base: shutil.rmtree(base), "trained on the encoder .*, which is not"),
    "another base": (
        lambda _, base: shutil.copy(base.with_name("other") / "model.safetensors", base),
        r"was trained on \S+/base with SHA-256 \w{64}, but \S+ has \w{64}; bring",
    ),
    "another architecture as base": (
        described(lambda c: c.update(model_type="roberta")),
        "model_type 'roberta', but .* has 'bert'",
    ),
    "another hidden size": (
        described(lambda c: c.update(hidden_size=32)), "hidden_size 32, but .* has 16",
    ),
    "more layers": (
        described(lambda c: c.update(num_hidden_layers=3)), "num_hidden_layers 3, but .* has 2",
    ),
    "an unknown kind": (
        described(lambda c: c["bundle"].update(kind="prefix")), "there are adapters, lora",
    ),
    "no description": (described(lambda c: c.pop("bundle")), "names no kind of bundle"),
    "an unknown method": (
        described(lambda c: c["bundle"]["parts"]["adapters"]["qa"].update(method="compacter")),
        r"bundle\.adapters\.qa\.method: .*'pfeiffer' or 'houlsby', got 'compacter'",
    ),
    "an unknown non-linearity": (
        described(lambda c: c["bundle"]["parts"]["adapters"]["qa"].update(non_linearity="x")),
        "unknown non-linearity",
    ),
    "a strange name": (
        described(lambda c: c["bundle"]["parts"].update(adapters={"a.b": {}})), "lower-case",
    ),
    "a composition of others": (
        described(lambda c: c["bundle"]["parts"].update(composition=["qa", "x"])),
        "composition has the adapters qa, x",
    ),
    "no composition": (
        described(lambda c: c["bundle"]["parts"].update(composition=[])), "at least 1 item",
    ),
    "a fusion of one adapter": (
        described(lambda c: c["bundle"]["parts"].update(composition=[["qa"]])), "at least 2 items",
    ),
    "a value of another type": (
        described(lambda c: c.update(layer_norm_eps="x")), "bundle: not a whole bundle: ",
    ),
    "no reference to a base": (
        described(lambda c: c["bundle"].pop("base")), r"bundle: Input should .*, got None",
    ),
    "a reduction of another size": (
        described(lambda c: c["bundle"]["parts"]["adapters"]["qa"].update(reduction=2)),
        r"has shape \(4, 16\), expected \(8, 16\)",
    ),
    "code from elsewhere": (described(lambda c: c.update(auto_map={"a": "b"})), "auto_map"),
    "a missing weight": (weighted(lambda w: w.pop(UP)), f"lacks {UP}"),
    "a weight too many": (
        weighted(lambda w: w.update(more=torch.ones(1))), "has, unasked, more; train it again",
    ),
    "another shape": (
        weighted(lambda w: w.update({UP: torch.ones(16, 5)})), r"shape \(16, 5\), expected",
    ),
    "torn weights": (cut, r"bundle\.safetensors: damaged: 'SafetensorError"),
    "torn description": (
        lambda bundle, _: (bundle / "config.json").write_text("{"), "not valid JSON",
    ),
    "no weights": (
        lambda bundle, _: (bundle / "bundle.safetensors").unlink(),
        r"no bundle there .* `dvc repro pipelines/adapters/dvc\.yaml`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_a_bundle_that_is_not_whole_is_refused(case: str, encoders: Path, tmp_path: Path) -> None:
    shutil.copytree(encoders / "bert", tmp_path / "base")
    shutil.copytree(encoders / "other bert", tmp_path / "other")
    model = made(tmp_path / "base", PARTS["pfeiffer"])
    folder = stored(model, tmp_path / "base", tmp_path / "bundle")
    spoil, message = SPOILT[case]
    spoil(folder, tmp_path / "base")
    with pytest.raises(RetuneError, match=message) as refused:
        load(folder, QA)
    assert "\n" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)


INSERTED: dict[str, tuple[str, Parts, str]] = {
    "another architecture": ("distilbert", PARTS["pfeiffer"], "a model of type 'distilbert'"),
    "another architecture for LoRA": ("distilbert", LORA, "a model of type 'distilbert'"),
    "an unknown target": (
        "bert", LoraParts(2, 4.0, 0.0, ["query", "q_proj"]),
        r"ends in 'q_proj'; LoRA's targets may be dense, key, query, value",
    ),
    "a target that is no ending": ("bert", LoraParts(2, 4.0, 0.0, ["uery"]), "ends in 'uery'"),
    "the head as target": ("bert", LoraParts(2, 4.0, 0.0, ["qa_outputs"]), "ends in 'qa_outputs'"),
    "a fusion of unlike adapters": (
        "bert", AdapterParts({"a": PFEIFFER, "b": HOULSBY}, [["a", "b"]]), "cannot be fused",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", INSERTED)
def test_parts_that_do_not_fit_are_refused(case: str, encoders: Path) -> None:
    name, parts, message = INSERTED[case]
    model = load_encoder(QA, encoders / name, encoder_config(encoders / name, None))
    with pytest.raises(RetuneError, match=message):
        insert(model, parts)


Lend = tuple[str, Parts]
BORROWED: dict[str, tuple[Lend, str]] = {
    "of another hidden size": (("wide bert", PARTS["pfeiffer"]), "hidden size of 32, but .* 16"),
    "of another base": (
        ("other bert", PARTS["pfeiffer"]), r"qa was trained on \S+/other bert .* but the encoder",
    ),
    "of LoRA": (("bert", LORA), "is a bundle of LoRA; give one with an adapter"),
    "of a fusion": (("bert", PARTS["fusion"]), "ends in a fusion of qa, entities"),
    "with invertible layers": (
        ("bert", AdapterParts({"l": LANGUAGE}, ["l"])), "other layers than the adapter qa here",
    ),
    "with more layers": (("bert", PARTS["houlsby"]), "other layers than the adapter qa here"),
    "of another size": (
        ("bert", AdapterParts({"x": AdapterParams("pfeiffer", 2, "gelu", "whole", None)}, ["x"])),
        "was trained with other sizes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BORROWED)
def test_an_adapter_that_does_not_fit_is_not_borrowed(
    case: str, encoders: Path, tmp_path: Path
) -> None:
    (name, parts), message = BORROWED[case]
    folder = stored(made(encoders / name, parts), encoders / name, tmp_path / "bundle")
    model = made(encoders / "bert", PARTS["pfeiffer"])
    with pytest.raises(RetuneError, match=message):
        load_adapter(model, folder, "qa", base=encoders / "bert")


def test_a_bundle_may_be_pinned(encoders: Path, tmp_path: Path) -> None:
    folder = stored(made(encoders / "bert", LORA), encoders / "bert", tmp_path / "bundle")
    pin = sha256(folder / "bundle.safetensors")
    for given in (None, pin):
        assert bundle_folder(BundleParams(str(folder), given)) == folder
    with pytest.raises(RetuneError, match=f"has SHA-256 {pin}, but params ask for 000"):
        bundle_folder(BundleParams(str(folder), "0" * 64))
    with pytest.raises(RetuneError, match=r"none: no bundle there"):
        bundle_folder(BundleParams(str(tmp_path / "none"), None))


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
