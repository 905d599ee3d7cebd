"""`retune adapters`: what AdapterHub's library saved keeps its logits, and comes back equal."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from adapterhub_runs import (
    LOGITS,
    SAVED,
    bring,
    copied,
    exported,
    family,
    logits,
    write_encoders,
)
from safetensors.torch import load_file

from retune.adapters.adapter_reuse import BundleParams, adapter_params
from retune.adapters.bundles import AdapterParts, LoraParts, described
from retune.adapters.layers import AdapterParams
from retune.core import manifests
from retune.core.files import sha256
from retune.inference.reader import Reader
from retune.tasks.qa.models import bert_adapter, bert_adapter_fusion
from retune.tools.adapterhub import layout
from retune.tools.adapterhub.importing import bundle_name

PFEIFFER = AdapterParams("pfeiffer", 4, "gelu", "whole", None)
LANGUAGE = AdapterParams("pfeiffer", 2, "relu", "whole", 2)
NO_LAST = AdapterParams("pfeiffer", 4, "gelu", "none", None)
#: By case: what the bundle has.
PARTS = {
    "pfeiffer": AdapterParts({"squad_v1": PFEIFFER}, ["squad_v1"]),
    "houlsby": AdapterParts({"qa": AdapterParams("houlsby", 4, "swish", "whole", None)}, ["qa"]),
    "union": AdapterParts({"qa": AdapterParams("houlsby", 4, "swish", "attention", None)}, ["qa"]),
    "language": AdapterParts({"pt": LANGUAGE}, ["pt"]),
    "lora": LoraParts(2, 6.0, 0.0, ["query", "value"]),
    "lora_everywhere": LoraParts(2, 6.0, 0.0, [
        "1.attention.self.query", "1.attention.self.value", "1.intermediate.dense",
        "1.output.dense",
    ]),
    "setup": AdapterParts(
        {"language": LANGUAGE, "qa": PFEIFFER, "entities": PFEIFFER},
        ["language", ["qa", "entities"]],
    ),
    "fusion": AdapterParts({"qa": NO_LAST, "entities": NO_LAST}, [["qa", "entities"]]),
    "roberta": AdapterParts({"qa": PFEIFFER}, ["qa"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read pickles here, because the process that reads them otherwise takes seconds to start."""
    monkeypatch.setattr(layout, "_unpickled", partial(torch.load, weights_only=True))


@pytest.fixture(scope="module")
def bundles(encoders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of each folder that the library saved."""
    top = tmp_path_factory.mktemp("bundles")
    for case in LOGITS:
        assert bring(SAVED / case, top / case, encoders / family(case)) == 0
    return top


def changed(
    folder: Path, change: Callable[[dict[str, Any]], object], name: str = "adapter"
) -> None:
    """Change a configuration."""
    path = folder / f"{name}_config.json"
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))


@pytest.mark.parametrize("case", LOGITS)
def test_the_logits_are_those_of_the_library(case: str, bundles: Path) -> None:
    expected = torch.tensor(LOGITS[case])
    torch.testing.assert_close(logits(bundles / case), expected, atol=1e-6, rtol=0)
    parts, _ = described(bundles / case)
    assert parts == PARTS[case]


@pytest.mark.parametrize("case", LOGITS)
def test_an_export_is_what_the_library_wrote(case: str, bundles: Path, tmp_path: Path) -> None:
    """Names, shapes and values of weights, and configurations."""
    assert exported(bundles / case, tmp_path / "out") == 0
    theirs = sorted((SAVED / case).rglob("adapter*_config.json"))
    assert theirs
    for path in theirs:
        folder = tmp_path / "out" / path.parent.relative_to(SAVED / case)
        ours, saved = (json.loads((each / path.name).read_text()) for each in (folder, path.parent))
        renamed = {key: ours[key] for key in ("name", "model_class", "model_name")}
        assert ours == saved | renamed
        weights = torch.load(next(folder.glob("pytorch_*adapter*.bin")), weights_only=True)
        expected = {
            name.replace(f".{saved['name']}.", f".{ours['name']}."): weight
            for name, weight in stored(path).items()
            if case != "fusion" or ".layer.1." not in name  # which has no adapters
        }
        assert_equal(weights, expected)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("case", LOGITS)
def test_an_export_is_imported_again(
    case: str, bundles: Path, encoders: Path, tmp_path: Path
) -> None:
    assert exported(bundles / case, tmp_path / "out") == 0
    assert bring(tmp_path / "out", tmp_path / "again", encoders / family(case)) == 0
    for name in ("bundle.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "again" / name).read_bytes() == (bundles / case / name).read_bytes()


@pytest.mark.parametrize("case", ["pfeiffer", "setup"])
def test_a_head_and_a_setup_are_written_for_both_kinds_of_models(
    case: str, bundles: Path, tmp_path: Path
) -> None:
    assert exported(bundles / case, tmp_path) == 1  # a folder that is there
    out = tmp_path / "out"
    assert exported(bundles / case, out) == 0
    place = out if case == "pfeiffer" else out / "head"
    head = json.loads((place / "head_config.json").read_text())
    saved = json.loads((SAVED / case / "head_config.json").read_text())
    assert head == saved | {"model_name": head["model_name"]}
    weights = torch.load(place / "pytorch_model_head.bin", weights_only=True)
    assert {name: weight.shape for name, weight in weights.items()} == {
        "qa_outputs.weight": (2, 8), "qa_outputs.bias": (2,),
    }  # fmt: skip
    setup = out / "adapter_setup.json"
    assert setup.is_file() == (case == "setup")
    if setup.is_file():
        saved = json.loads((SAVED / case / "adapter_setup.json").read_text())
        assert json.loads(setup.read_text()) == saved | {"head_setup": "head"}


def stored(config: Path) -> dict[str, torch.Tensor]:
    """The weights beside a configuration of the library."""
    stem = {"adapter_config.json": "adapter", "adapter_fusion_config.json": "model_adapter_fusion"}
    safe = config.with_name(f"{stem[config.name]}.safetensors")
    if safe.is_file():
        return load_file(safe)
    weights: dict[str, torch.Tensor] = torch.load(
        config.with_name("pytorch_adapter.bin"), weights_only=True
    )
    return weights


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_an_export_has_the_same_bytes_each_time(bundles: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert exported(bundles / "pfeiffer", tmp_path / name) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_an_import_says_what_it_made_and_where_from(
    encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert bring(SAVED / "language", out, encoders / "bert", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["composition"] == ["pt"]
    assert told["adapters"]["pt"]["invertible_reduction"] == 2
    assert (told["head"], told["notes"]) == (True, [])
    assert told["sha256"] == sha256(out / "bundle.safetensors")
    manifest = manifests.read(out)
    assert manifest["params"] == {"qa.model": "bert_adapter", "qa.squad_v2": False}
    assert manifest["imported_from"] == {
        f"language/{path.name}": sha256(path) for path in (SAVED / "language").iterdir()
    }
    config = json.loads((out / "config.json").read_text())
    assert config["bundle"]["base"]["name"] == str(encoders / "bert")


@pytest.mark.parametrize(
    ("case", "model"), [("lora", "bert_lora"), ("fusion", "bert_adapter_fusion")]
)
def test_a_bundle_knows_by_which_model_it_could_be_trained(
    case: str, model: str, bundles: Path, encoders: Path, tmp_path: Path
) -> None:
    assert manifests.read(bundles / case)["params"]["qa.model"] == model
    assert bring(SAVED / case, tmp_path / "v2", encoders / "bert", "--squad-v2") == 0
    assert manifests.read(tmp_path / "v2")["params"]["qa.squad_v2"] is True


def test_an_imported_reader_answers(
    encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write_checkpoint(tmp_path / "encoder", hidden_size=8)
    assert bring(SAVED / "houlsby", tmp_path / "bundle", tmp_path / "encoder") == 0
    context = "The river Lomma flows for 90 miles through three valleys."
    answer = Reader(tmp_path / "bundle")(question="How long is the river?", context=context)
    assert answer["answer"] == context[answer["start"] : answer["end"]] != ""
    assert exported(tmp_path / "bundle", tmp_path / "out") == 0
    assert capsys.readouterr().err == ""


def test_imported_adapters_are_used_below_and_in_a_fusion(bundles: Path, encoders: Path) -> None:
    encoder = encoders / "bert"
    language, qa = (
        BundleParams(str(bundles / case), sha256(bundles / case / "bundle.safetensors"))
        for case in ("language", "pfeiffer")
    )
    params = bert_adapter.Params(**vars(PFEIFFER), dropout=None, language=language)
    model = bert_adapter.build(params, encoder, 20, 0)
    names = dict(model.named_parameters())
    theirs = load_file(SAVED / "language/adapter.safetensors")
    name = "bert.encoder.layer.1.output.adapters.language.up.weight"
    saved = theirs["bert.encoder.layer.1.output.adapters.pt.adapter_up.weight"]
    assert torch.equal(names[name], saved)
    assert torch.equal(
        names["bert.invertible.language.second.2.bias"],
        theirs["bert.invertible_adapters.pt.G.2.bias"],
    )
    fusing = bert_adapter_fusion.Params(dropout=None, adapters=[qa, qa], language=language)
    fused = bert_adapter_fusion.build(fusing, encoder, 20, 0)
    assert fused.config.bundle["parts"]["composition"] == ["language", ["squad_v1", "squad_v1_2"]]


def test_an_adapter_without_a_head_can_be_used_below_others(
    encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = copied("language", tmp_path)
    for path in source.glob("*head*"):
        path.unlink()
    out = tmp_path / "out"
    assert bring(source, out, encoders / "bert") == 0
    assert "set qa.models.bert_adapter.language, or" in capsys.readouterr().out
    assert adapter_params(out).params == LANGUAGE
    assert not [name for name in load_file(out / "bundle.safetensors") if "qa_outputs" in name]
    assert exported(out, tmp_path / "back") == 0
    assert {path.name for path in (tmp_path / "back").iterdir()} == {
        "adapter_config.json", "pytorch_adapter.bin",
    }  # fmt: skip
    assert bring(source, tmp_path / "two", encoders / "bert", "--head", str(SAVED / "lora")) == 0
    bias = load_file(SAVED / "lora/model_head.safetensors")["heads.qa.1.bias"]
    weights = load_file(tmp_path / "two/bundle.safetensors")
    assert torch.equal(weights["qa_outputs.bias"], bias)


@pytest.mark.parametrize(
    ("stack", "composition"),
    [
        (["qa"], ["qa"]),
        (["language", "entities"], ["language", "entities"]),
        (["qa,entities"], [["qa", "entities"]]),
    ],
)
def test_some_of_several_adapters_are_chosen(
    stack: list[str], composition: list[Any], encoders: Path, tmp_path: Path
) -> None:
    assert bring(SAVED / "setup", tmp_path / "out", encoders / "bert", "--stack", *stack) == 0
    parts, _ = described(tmp_path / "out")
    assert isinstance(parts, AdapterParts)
    assert parts.composition == composition


def test_the_folder_of_a_fusion_finds_its_adapters_beside_it(
    encoders: Path, tmp_path: Path
) -> None:
    source = copied("fusion", tmp_path)
    shutil.copy(source / "qa/head_config.json", source / "qa,entities")
    shutil.copy(source / "qa/model_head.safetensors", source / "qa,entities")
    assert bring(source / "qa,entities", tmp_path / "out", encoders / "bert") == 0
    torch.testing.assert_close(
        logits(tmp_path / "out"), torch.tensor(LOGITS["fusion"]), atol=1e-6, rtol=0
    )


def test_invertible_layers_above_the_first_adapter_are_left_out(
    encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library uses those of the lowest adapter alone."""
    out = tmp_path / "out"
    assert bring(SAVED / "setup", out, encoders / "bert", "--stack", "qa", "language") == 0
    assert "the invertible layers of language are left out" in capsys.readouterr().out
    assert not [name for name in load_file(out / "bundle.safetensors") if "invertible" in name]


def old_names(about: dict[str, Any]) -> None:
    """What adapter-transformers 1 wrote: no version, other names, layers that are not there."""
    config = about["config"]
    del about["version"], config["inv_adapter"], config["inv_adapter_reduction_factor"]
    about["config"] = {name: config[name] for name in config if "phm" not in name} | {
        "non_linearity": "gelu", "attention_type": "sent-lvl-dynamic", "leave_out": None,
        "invertible_adapter": {"block_type": "nice", "reduction_factor": 2},
    }  # fmt: skip


@pytest.mark.usefixtures("_quick")
def test_files_of_adapter_transformers_1_are_read(encoders: Path, tmp_path: Path) -> None:
    """They have other names of weights and activations; a task adapter has no invertible layers."""
    source = copied("pfeiffer", tmp_path)
    changed(source, old_names)
    path = source / "pytorch_adapter.bin"
    names = (".adapters.", ".layer_text_task_adapters.")
    weights = torch.load(path, weights_only=True)
    torch.save({key.replace(*names): weight for key, weight in weights.items()}, path)
    assert bring(source, tmp_path / "out", encoders / "bert") == 0
    params = adapter_params(tmp_path / "out").params
    assert params == AdapterParams("pfeiffer", 4, "gelu_new", "whole", None)


@pytest.mark.parametrize(("version", "alpha"), [("adapters.1.0.1", 2.0), ("adapters.1.1.0", 6.0)])
def test_lora_was_not_scaled_by_early_releases(
    version: str, alpha: float, encoders: Path, tmp_path: Path
) -> None:
    source = copied("lora", tmp_path)
    changed(source, lambda about: about.update(version=version))
    assert bring(source, tmp_path / "out", encoders / "bert") == 0
    parts, _ = described(tmp_path / "out")
    assert isinstance(parts, LoraParts)
    assert (parts.rank, parts.alpha) == (2, alpha)


def test_the_encoder_is_that_of_the_params(
    encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retune.tools.cli.main import main

    monkeypatch.chdir(tmp_path)
    folder = encoders / "bert"
    pin = f"{{name: '{folder}', revision: {sha256(folder / 'model.safetensors')}}}"
    Path("params.yaml").write_text(f"qa: {{checkpoint: {pin}}}", encoding="utf-8")
    words = ["adapters", "import", str(SAVED / "language")]
    assert main([*words, "out"]) == 0
    assert main([*words, "two", "--params", "params.yaml"]) == 0
    assert main([*words, "no", "--params", "none.yaml"]) == 1
    revision = sha256(folder / "model.safetensors")
    assert main([*words, "three", "--encoder", str(folder), "--revision", revision]) == 0
    bases = [described(Path(name))[1] for name in ("out", "two", "three")]
    assert bases[0] == bases[1] == bases[2]


@pytest.mark.parametrize("recorded", ["org/Bert", "bert", ""])
def test_an_encoder_is_known_by_the_last_part_of_its_name(
    recorded: str, encoders: Path, tmp_path: Path
) -> None:
    source = copied("language", tmp_path)
    changed(source, lambda about: about.update(model_name=recorded))
    assert bring(source, tmp_path / "out", encoders / "bert") == 0


def test_the_same_encoder_may_have_another_name(encoders: Path, tmp_path: Path) -> None:
    source = copied("language", tmp_path)
    changed(source, lambda about: about.update(model_name="bert-base-cased"))
    assert bring(source, tmp_path / "no", encoders / "bert") == 1
    assert bring(source, tmp_path / "out", encoders / "bert", "--same-encoder") == 0


@pytest.mark.parametrize(
    ("name", "plain"),
    [("qa", "qa"), ("SQuAD-v1", "squad_v1"), ("2nd", "adapter_2nd"), ("日本", "adapter")],
)
def test_a_name_is_made_one_of_a_bundle(name: str, plain: str) -> None:
    assert bundle_name(name) == plain
