"""Folders of AdapterHub's library that give no bundle, and bundles that it has not: rows B51 on."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pickles
import pytest
import torch
from adapterhub_runs import SAVED, bring, copied, exported, write_encoders
from bundle_runs import HOULSBY, PARTS, PFEIFFER, made, stored
from bundle_runs import write_encoders as write_other_encoders
from safetensors.torch import load_file, save_file

from retune.adapters.bundles import AdapterParts, LoraParts, Parts
from retune.tools.cli.main import main


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="module")
def other_encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_other_encoders(tmp_path_factory.mktemp("others"))


Spoil = Callable[[Path], object]


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def about(change: Callable[[dict[str, Any]], object], name: str = "adapter_config") -> Spoil:
    """Change a JSON file of a folder."""

    def spoil(folder: Path) -> None:
        path = folder / f"{name}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return spoil


def method(**changes: Any) -> Spoil:
    """Change the configuration of an adapter."""
    return about(lambda content: content["config"].update(changes))


def weights(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change the weights of an adapter."""

    def spoil(folder: Path) -> None:
        path = folder / "adapter.safetensors"
        content = load_file(path)
        change(content)
        save_file(content, path)

    return spoil


def text(content: str, name: str = "adapter_config.json") -> Spoil:
    return lambda folder: (folder / name).write_text(content)


def without(*names: str) -> Spoil:
    return lambda folder: [(folder / name).unlink() for name in names]


def fusion(**changes: Any) -> Spoil:
    change = about(lambda content: content["config"].update(changes), "adapter_fusion_config")
    return lambda folder: change(folder / "qa,entities")


def setup(kind: str, *children: Any) -> Spoil:
    composition = {"type": kind, "children": [*children]}
    return about(lambda content: content.update(adapter_setup=composition), "adapter_setup")


def pickled(write: Callable[[Path, Path], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        write(folder / "pytorch_adapter.bin", folder.parent / "mark")

    return spoil


UP = "bert.encoder.layer.1.output.adapters.qa.adapter_up.weight"
SINGLE = {"type": "single", "children": ["qa"]}
STACK = {"type": "Stack", "children": [SINGLE, {"type": "single", "children": ["language"]}]}
PREFIX = {"architecture": "prefix_tuning", "prefix_length": 30}


@pytest.mark.parametrize(
    ("saved", "spoil", "message"),
    [
        case("B51 no adapter", "houlsby", without("adapter_config.json"),
             r"no adapter there \(adapter_config\.json"),
        case("B51 no folder", "houlsby", shutil.rmtree, "saved: no such folder; give one that"),
        case("B51 no weights", "houlsby", without("adapter.safetensors"),
             r"neither adapter\.safetensors nor pytorch_adapter\.bin; copy"),
        case("B51 a fusion without its adapters", "fusion",
             lambda folder: [shutil.rmtree(folder / name) for name in ("qa", "entities")],
             "for a fusion, also save its adapters"),
        case("B51 a torn configuration", "houlsby", text("{"), r"adapter_config\.json: not valid"),
        case("B51 another configuration", "houlsby", text("[1]"), r"\[1\] is not a JSON object"),
        case("B51 no name", "houlsby", about(lambda content: content.update(name=None)),
             "name is None, expected the adapter's name"),
        case("B52 no method", "houlsby", about(lambda content: content.update(config="pfeiffer")),
             "config is 'pfeiffer', expected the keys of the adapter"),
        case("B52 prefix tuning", "houlsby", about(lambda content: content.update(config=PREFIX)),
             r"prefix tuning \(architecture: prefix_tuning\), which retune has not; retune imports "
             r"sequential .*LoRA"),
        case("B52 prompt tuning", "houlsby", method(architecture="prompt_tuning"),
             "prompt tuning"),
        case("B52 ReFT", "houlsby", method(architecture="reft"), r"ReFT \(architecture"),
        case("B52 an unknown method", "houlsby", method(architecture="next"),
             "an unknown method .*'next'"),
        case("B52 parallel", "houlsby", method(is_parallel=True),
             r"a parallel adapter \(is_parallel: True\)"),
        case("B52 Compacter", "houlsby", method(phm_layer=True), r"Compacter \(phm_layer"),
        case("B52 learned scaling", "houlsby", method(scaling="learned"),
             "scaling: 'learned'"),
        case("B52 another scaling", "houlsby", method(scaling=4.0), r"scaling: 4\.0"),
        case("B52 a gate", "houlsby", method(use_gating=True), "a gate, as in UniPELT"),
        case("B52 its own normalization", "houlsby", method(ln_before=True), "ln_before: True"),
        case("B52 another place", "houlsby", method(original_ln_before=True),
             "a houlsby adapter with another original_ln_before"),
        case("B52 an unknown setting", "houlsby", method(twist=3), "unknown setting twist: 3"),
        case("B52 GLOW", "language", method(inv_adapter="glow"), "invertible layers 'glow'"),
        case("B52 reductions by layer", "houlsby", method(reduction_factor={"1": 8}),
             r"reduction_factor \{'1': 8\}"),
        case("B52 a wider bottleneck", "houlsby", method(reduction_factor=0.5),
             r"reduction_factor 0\.5"),
        case("B52 a bottleneck between", "houlsby", method(reduction_factor=1.3),
             "a bottleneck of 6 units, which no whole reduction gives"),
        case("B52 an unknown activation", "houlsby", method(non_linearity="sine"),
             "non_linearity: .*unknown non-linearity; transformers has"),
        case("B52 no truth value", "houlsby", method(mh_adapter="yes"),
             "mh_adapter is 'yes', expected true or false"),
        case("B52 different methods in a union", "union", about(
             lambda content: content["config"]["configs"].append(PREFIX)),
             "a union of different methods, such as MAM"),
        case("B52 an empty union", "union", method(configs=[]),
             r"configs is \[\], expected a list of objects"),
        case("B52 IA3", "lora", method(composition_mode="scale"), r"\(IA\)\^3"),
        case("B52 DoRA", "lora", method(use_dora=True), r"DoRA \(use_dora"),
        case("B52 VeRA", "lora", method(vera_d=0.1), r"VeRA \(vera_d: 0\.1\)"),
        case("B52 other matrices", "lora", method(attn_matrices=["o"]), r"attn_matrices: \['o'\]"),
        case("B52 LoRA of no rank", "lora", method(r=0), "LoRA with r 0"),
        case("B52 LoRA nowhere", "lora", method(selfattn_lora=False), r"on \[\]"),
        case("B52 a static fusion", "fusion", fusion(value=False), "the fusion `static`"),
        case("B52 a fusion without settings", "fusion", lambda folder: about(
             lambda content: content.update(config=None), "adapter_fusion_config"
             )(folder / "qa,entities"), "config is None, expected the keys of the fusion"),
        case("B53 no adapter in the first layer", "houlsby", method(leave_out=[0]),
             r"after the attention of the layers \[1\] and .*all layers have it, or all but"),
        case("B53 after the attention alone", "houlsby", method(output_adapter=False),
             r"feed-forward part of \[\]"),
        case("B53 no numbers of layers", "houlsby", method(leave_out="last"),
             "leave_out is 'last', expected numbers of layers"),
        case("B54 another architecture", "houlsby",
             about(lambda content: content.update(model_type="gpt2")),
             "an encoder with model_type 'gpt2', but .* has 'bert'; name .*--encoder"),
        case("B54 another hidden size", "houlsby",
             about(lambda content: content.update(hidden_size=768)),
             "hidden_size 768, but .* has 8"),
        case("B54 another encoder by name", "houlsby",
             about(lambda content: content.update(model_name="bert-base-cased")),
             "was trained on bert-base-cased, but the encoder is .*add --same-encoder"),
        case("B55 a pickle that runs code", "houlsby", pickled(
             lambda path, mark: [path.with_name("adapter.safetensors").unlink(),
                                 pickles.plain(path, pickles.Payload(mark))]),
             "pytorch_adapter.bin is refused: it asks for .*Nothing in it was run"),
        case("B55 a pickle that asks for more memory than it has", "houlsby", pickled(
             lambda path, mark: [path.with_name("adapter.safetensors").unlink(),
                                 pickles.memory_bomb(path, 2**31 - 1)]),
             "pytorch_adapter.bin is refused"),
        case("B56 adapters without an order", "setup", without("adapter_setup.json"),
             r"has the adapters entities, language, qa, the fusion qa,entities; say which to use"),
        case("B56 two adapters and no fusion", "setup",
             lambda folder: [(folder / "adapter_setup.json").unlink(),
                             shutil.rmtree(folder / "qa,entities")],
             "has the adapters entities, language, qa; say which"),
        case("B56 an adapter that is not there", "setup",
             setup("Stack", {"type": "single", "children": ["de"]}), "has no de; it has the adap"),
        case("B56 a fusion that is not there", "setup", lambda folder: shutil.rmtree(
             folder / "qa,entities"), "has no fusion of qa,entities; it has"),
        case("B56 a parallel composition", "setup", setup("Parallel", SINGLE, SINGLE),
             "the composition 'Parallel'; retune has single adapters, Stack and Fuse"),
        case("B56 a fusion of stacks", "setup", setup("Fuse", SINGLE, STACK), "a fusion of stacks"),
        case("B56 no composition", "setup", text('{"adapter_setup": 1}', "adapter_setup.json"),
             "the composition None"),
        case("B58 a weight is missing", "houlsby", weights(lambda w: w.pop(UP)),
             r"no weight bert\.encoder\.layer\.1\.output\.adapters\.qa\.up\.weight \(1 missing, 0"),
        case("B58 a weight too many", "houlsby",
             weights(lambda w: w.update({UP.replace(".1.", ".7."): w[UP].clone()})),
             r"a weight bert\.encoder\.layer\.7\S+ too many \(0 missing, 1 too many\)"),
        case("B58 a weight of something else", "houlsby",
             weights(lambda w: w.update({"bert.prefix_tunings.qa.up": torch.ones(2)})),
             "has the weight 'bert.prefix_tunings.qa.up', which its configuration does not"),
        case("B58 another shape", "houlsby", weights(lambda w: w.update({UP: torch.ones(8, 3)})),
             r"up\.weight has shape \(8, 3\), expected \(8, 2\)"),
        case("B58 not a number", "houlsby", weights(lambda w: w[UP].fill_(float("nan"))),
             "something else than finite floating-point numbers"),
        case("B58 whole numbers", "houlsby",
             weights(lambda w: w.update({UP: torch.ones(8, 2, dtype=torch.int32)})),
             "something else than finite"),
        case("B58 a torn file", "houlsby", text("abc", "adapter.safetensors"),
             r"adapter\.safetensors: damaged: "),
        case("B59 a head that is not whole", "houlsby", lambda folder: save_file(
             {"heads.qa.1.weight": torch.ones(2, 8)}, folder / "model_head.safetensors"),
             "has a weight and a bias, but its file has heads.qa.1.weight"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_refused(
    saved: str, spoil: Spoil, message: str, encoders: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = copied(saved, tmp_path)
    spoil(source)
    code = bring(source, tmp_path / "out", encoders / "bert")
    refused(code, message, capsys, tmp_path / "out")
    assert not (tmp_path / "mark").exists()


def refused(code: int, message: str, capsys: pytest.CaptureFixture[str], out: Path) -> None:
    printed = capsys.readouterr()
    assert (code, printed.out, printed.err.count("\n")) == (1, "", 1)
    assert re.search(message, printed.err), printed.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        case("B54 more layers", "deep", r"no weight bert\.encoder\.layer\.2\."),
        case("B54 a wider encoder", "wide", "hidden_size 8, but .* has 12"),
        case("B54 no encoder", "none", "--encoder.name: no such folder"),
    ],
)
def test_another_encoder_is_refused(
    encoder: str, message: str, encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = bring(SAVED / "houlsby", tmp_path / "out", encoders / encoder)
    refused(code, message, capsys, tmp_path / "out")


def test_b54_an_architecture_without_adapters(
    other_encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = bring(SAVED / "houlsby", tmp_path / "out", other_encoders / "distilbert")
    refused(code, "a model of type 'distilbert'; choose", capsys, tmp_path / "out")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        case("B57 an adapter of another method", "houlsby",
             r"adapters pt, qa are of different methods \(houlsby, pfeiffer\)"),
        case("B57 LoRA in a stack", "lora", "LoRA among the adapters pt, qa; retune has no stacks"),
    ],
)  # fmt: skip
def test_what_cannot_be_stacked_is_refused(
    other: str, message: str, encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("language", other):
        shutil.copytree(SAVED / name, tmp_path / "saved" / name)
    words = ["--stack", "pt", "qa"]
    code = bring(tmp_path / "saved", tmp_path / "out", encoders / "bert", *words)
    refused(code, message, capsys, tmp_path / "out")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        case("B59 a head for another task", {"head_type": "tagging"}, "it is a head for tagging"),
        case("B59 a head of two layers",
             {"head_type": "question_answering", "layers": 2, "num_labels": 2},
             "it has 2 layers and 2 outputs; retune's readers have 1 and 2"),
        case("B59 the head of another model", None, "it is the head of BertAdapterModel"),
    ],
)  # fmt: skip
def test_another_head_is_left_out_and_named(
    config: Any, reason: str, encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = copied("houlsby", tmp_path)
    about(lambda content: content.update(config=config), "head_config")(source)
    assert bring(source, tmp_path / "out", encoders / "bert") == 0
    assert f"head_config.json: left out, {reason}" in capsys.readouterr().out
    words = ["--head", str(source)]
    code = bring(SAVED / "language", tmp_path / "two", encoders / "bert", *words)
    refused(code, f"--head: .*left out, {reason}", capsys, tmp_path / "two")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        case("B57 a stack of different methods",
             AdapterParts({"a": PFEIFFER, "b": HOULSBY}, ["a", "b"]),
             r"of different methods \(houlsby, pfeiffer\); .* differ from retune's"),
        case("B60 fused adapters of other places",
             AdapterParts({"a": HOULSBY, "b": HOULSBY}, [["a", "b"]]),
             "`last_layer: attention`, which AdapterHub's library cannot fuse"),
        case("B60 LoRA after the attention", LoraParts(2, 2.0, 0.0, ["attention.output.dense"]),
             r"matrices at bert\.encoder\.layer\.0\.attention\.output\.dense\.lora_A"),
        case("B60 LoRA at different places",
             LoraParts(2, 2.0, 0.0, ["0.attention.self.query", "1.attention.self.key"]),
             "at other places in some layers"),
    ],
)  # fmt: skip
def test_a_bundle_that_the_library_has_not_is_refused(
    parts: Parts, message: str, other_encoders: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    encoder = other_encoders / "bert"
    bundle = stored(made(encoder, parts), encoder, tmp_path / "bundle")
    refused(exported(bundle, tmp_path / "out"), message, capsys, tmp_path / "out")


def test_b60_an_architecture_that_the_library_has_not(
    other_encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = other_encoders / "bert"
    bundle = stored(made(encoder, PARTS["pfeiffer"]), encoder, tmp_path / "bundle")
    about(lambda content: content.update(model_type="camembert"), "config")(bundle)
    message = "no adapters for a model of type 'camembert'; it has them for bert, roberta"
    refused(exported(bundle, tmp_path / "out"), message, capsys, tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        case("B60 no bundle", "export . new", "no bundle there"),
        case("B60 an option of the import", "export . new --encoder x", "--encoder is for import"),
        case("B60 an order for the export", "export . new --stack a", "--stack is for import"),
        case("B60 no encoder is named", "import . new",
             r"params\.yaml: no such file, so no encoder is known; name .* --encoder"),
        case("B60 a revision that can move", "import . new --encoder a/b --revision main",
             "--revision main: .*a branch or tag can move"),
    ],
)  # fmt: skip
def test_a_command_that_cannot_work_is_refused(
    line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    refused(main(["adapters", *line.split()]), message, capsys, tmp_path / "new")


def test_b60_a_folder_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapters", "import", str(SAVED / "lora"), str(tmp_path)]) == 1
    assert "is there already; give another folder, or delete it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
