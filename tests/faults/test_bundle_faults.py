"""Bundles that are not whole or do not fit, and adapters that cannot be put together: rows B."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import HOULSBY, LANGUAGE, LORA, PARTS, PFEIFFER, QA, made, stored, write_encoders
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from retune.adapters.adapter_reuse import BundleParams, bundle_folder, load_adapter
from retune.adapters.bundles import AdapterParts, LoraParts, Parts, insert, load
from retune.adapters.layers import AdapterParams
from retune.core.artifacts import sealed
from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.core.manifests import seal
from retune.models.encoders import encoder_config, load_encoder
from retune.tasks.qa.models import bert_adapter_fusion


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoders(tmp_path_factory.mktemp("encoders"))


Spoil = Callable[[Path, Path], object]


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


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


def adapter_says(**changes: Any) -> Spoil:
    """Change what config.json says of the adapter."""
    return described(lambda c: c["bundle"]["parts"]["adapters"]["qa"].update(changes))


def parts_say(**changes: Any) -> Spoil:
    """Change what config.json says of the parts."""
    return described(lambda c: c["bundle"]["parts"].update(changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        case("B01 no weights", lambda bundle, _: (bundle / "bundle.safetensors").unlink(),
             r"no bundle there .* `cd pipelines/adapters && dvc repro`"),
        case("B01 no description", lambda bundle, _: (bundle / "config.json").unlink(),
             "no bundle there"),
        case("B02 no base", lambda _, base: shutil.rmtree(base),
             "trained on the encoder .*, which is missing: bundle.base.name: no such"),
        case("B02 a base without weights",
             lambda _, base: (base / "model.safetensors").unlink(), "has no model.safetensors"),
        case("B03 another base",
             lambda _, base: shutil.copy(base.with_name("other") / "model.safetensors", base),
             r"was trained on \S+/base with SHA-256 \w{64}, but \S+ has \w{64}; bring"),
        case("B04 another architecture", described(lambda c: c.update(model_type="roberta")),
             "model_type 'roberta', but .* has 'bert'"),
        case("B04 another hidden size", described(lambda c: c.update(hidden_size=32)),
             "hidden_size 32, but .* has 16"),
        case("B04 more layers", described(lambda c: c.update(num_hidden_layers=3)),
             "num_hidden_layers 3, but .* has 2"),
        case("B05 weights cut off", cut, r"bundle\.safetensors: damaged: 'SafetensorError"),
        case("B05 weights emptied",
             lambda bundle, _: (bundle / "bundle.safetensors").write_bytes(b""),
             r"bundle\.safetensors: damaged: "),
        case("B06 a weight is missing", weighted(lambda w: w.pop(UP)), f"lacks {UP}"),
        case("B06 a weight too many", weighted(lambda w: w.update(more=torch.ones(1))),
             "has unexpected more; train it again"),
        case("B06 a weight of another shape",
             weighted(lambda w: w.update({UP: torch.ones(16, 5)})), r"shape \(16, 5\), expected"),
        case("B06 a bottleneck of another size", adapter_says(reduction=2),
             r"has shape \(4, 16\), expected \(8, 16\)"),
        case("B08 an unknown method", adapter_says(method="compacter"),
             r"bundle\.adapters\.qa\.method: .*'pfeiffer' or 'houlsby', got 'compacter'"),
        case("B08 an unknown kind", described(lambda c: c["bundle"].update(kind="prefix")),
             "allowed: adapters, lora"),
        case("B08 a kind that is no name", described(lambda c: c["bundle"].update(kind=["lora"])),
             "allowed: adapters, lora"),
        case("B08 no parts are described", described(lambda c: c.pop("bundle")),
             "names no known kind of bundle"),
        case("B08 a description that is none", described(lambda c: c.update(bundle=[])),
             "names no known kind of bundle"),
        case("B08 an unknown non-linearity", adapter_says(non_linearity="x"),
             "unknown non-linearity"),
        case("B08 a strange name", parts_say(adapters={"a.b": {}}), "lower-case"),
        case("B08 a composition of others", parts_say(composition=["qa", "x"]),
             "composition has the adapters qa, x"),
        case("B08 no composition", parts_say(composition=[]), "at least 1 item"),
        case("B08 a value of another type", described(lambda c: c.update(layer_norm_eps="x")),
             "bundle: not a complete bundle: "),
        case("B08 no base is named", described(lambda c: c["bundle"].pop("base")),
             r"bundle: Input should .*, got None"),
        case("B08 a description that is torn",
             lambda bundle, _: (bundle / "config.json").write_text("{"), "not valid JSON"),
        case("B08 code from elsewhere", described(lambda c: c.update(auto_map={"a": "b"})),
             "auto_map"),
        case("B09 a fusion of one adapter", parts_say(composition=[["qa"]]), "at least 2 items"),
    ],
)  # fmt: skip
def test_a_bundle_that_is_not_whole_is_refused(
    spoil: Spoil, message: str, encoders: Path, tmp_path: Path
) -> None:
    shutil.copytree(encoders / "bert", tmp_path / "base")
    shutil.copytree(encoders / "other bert", tmp_path / "other")
    model = made(tmp_path / "base", PARTS["pfeiffer"])
    folder = stored(model, tmp_path / "base", tmp_path / "bundle")
    spoil(folder, tmp_path / "base")
    with pytest.raises(RetuneError, match=message) as refused:
        load(folder, QA)
    assert "\n" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        case("B05 a bit of a weight is flipped",
             lambda bundle: flip(bundle / "bundle.safetensors"),
             r"bundle\.safetensors: damaged or changed since it was written"),
        case("B07 no manifest", lambda bundle: (bundle / "manifest.json").unlink(),
             r"has no manifest\.json, so it is incomplete; a stage reads only what an earlier"),
        case("B07 a manifest that is torn",
             lambda bundle: (bundle / "manifest.json").write_text("[]"),
             r"manifest\.json: damaged, it lists no files"),
    ],
)  # fmt: skip
def test_a_stage_reads_no_bundle_that_is_not_sealed(
    spoil: Callable[[Path], None], message: str, encoders: Path, tmp_path: Path
) -> None:
    encoder = encoders / "bert"
    folder = stored(made(encoder, PARTS["pfeiffer"]), encoder, tmp_path / "bundle")
    seal(folder, {"inputs": {}, "params": {}})
    spoil(folder)
    stage = sealed({}, reads={"language": folder}, writes={"bundle": tmp_path / "new"})
    with pytest.raises(RetuneError, match=message), stage:
        pytest.fail("the work began")


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [
        case("B04 adapters in another architecture", "distilbert", PARTS["pfeiffer"],
             "a model of type 'distilbert'; choose a model of type bert, camembert"),
        case("B04 LoRA in another architecture", "distilbert", LORA,
             "a model of type 'distilbert'"),
        case("B10 unlike adapters are fused", "bert",
             AdapterParts({"a": PFEIFFER, "b": HOULSBY}, [["a", "b"]]),
             "the adapters a, b cannot be fused: they differ in method"),
        case("B13 an unknown target", "bert", LoraParts(2, 4.0, 0.0, ["query", "q_proj"]),
             r"ends in 'q_proj'; LoRA's targets may be dense, key, query, value"),
        case("B13 a target that is no ending", "bert", LoraParts(2, 4.0, 0.0, ["uery"]),
             "ends in 'uery'"),
        case("B13 the head as target", "bert", LoraParts(2, 4.0, 0.0, ["qa_outputs"]),
             "ends in 'qa_outputs'"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused(
    name: str, parts: Parts, message: str, encoders: Path
) -> None:
    model = load_encoder(QA, encoders / name, encoder_config(encoders / name, None))
    with pytest.raises(RetuneError, match=message):
        insert(model, parts)


SMALLER = AdapterParams("pfeiffer", 2, "gelu", "whole", None)


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [
        case("B03 trained on another base", "other bert", PARTS["pfeiffer"],
             r"qa was trained on \S+/other bert .* but the encoder"),
        case("B04 for another hidden size", "wide bert", PARTS["pfeiffer"],
             "hidden size of 32, but .* 16"),
        case("B11 LoRA", "bert", LORA, "is a LoRA bundle; give a bundle with an adapter"),
        case("B11 a fusion", "bert", PARTS["fusion"], "ends in a fusion of qa, entities"),
        case("B11 with invertible layers", "bert", AdapterParts({"l": LANGUAGE}, ["l"]),
             "other layers than the adapter qa here"),
        case("B11 with more layers", "bert", PARTS["houlsby"],
             "other layers than the adapter qa here"),
        case("B11 with a bottleneck of another size", "bert", AdapterParts({"x": SMALLER}, ["x"]),
             "was trained with other sizes"),
    ],
)  # fmt: skip
def test_an_adapter_that_does_not_fit_is_not_borrowed(
    name: str, parts: Parts, message: str, encoders: Path, tmp_path: Path
) -> None:
    folder = stored(made(encoders / name, parts), encoders / name, tmp_path / "bundle")
    model = made(encoders / "bert", PARTS["pfeiffer"])
    with pytest.raises(RetuneError, match=message):
        load_adapter(model, folder, "qa", base=encoders / "bert")


@pytest.mark.parametrize(
    ("count", "error", "message"),
    [
        case("B09 one adapter in params", 1, ValidationError, "two adapters or more; for one, "),
        case("B10 with invertible layers", 2, RetuneError, "which cannot be fused; name this"),
    ],
)
def test_what_cannot_be_fused_is_refused(
    count: int, error: type[Exception], message: str, encoders: Path, tmp_path: Path
) -> None:
    encoder = encoders / "bert"
    language = AdapterParts({"language": LANGUAGE}, ["language"])
    lent = BundleParams(str(stored(made(encoder, language), encoder, tmp_path / "lent")), None)
    with pytest.raises(error, match=message):
        bert_adapter_fusion.build(
            bert_adapter_fusion.Params(None, [lent] * count, None), encoder, 60, 0
        )


@pytest.mark.parametrize("other", [case("B12 another bundle than the pinned one", "0" * 64)])
def test_a_bundle_may_be_pinned(other: str, encoders: Path, tmp_path: Path) -> None:
    folder = stored(made(encoders / "bert", LORA), encoders / "bert", tmp_path / "bundle")
    pin = sha256(folder / "bundle.safetensors")
    for given in (None, pin):
        assert bundle_folder(BundleParams(str(folder), given)) == folder
    with pytest.raises(RetuneError, match=f"has SHA-256 {pin}, but params ask for {other}"):
        bundle_folder(BundleParams(str(folder), other))


@pytest.mark.parametrize(
    "file", [case("B05 a bit", "bundle.safetensors"), case("B05 a bit elsewhere", "config.json")]
)
def test_a_bit_flipped_in_a_sealed_bundle_is_noticed_where_no_sum_is_pinned(
    file: str, encoders: Path, tmp_path: Path
) -> None:
    folder = stored(made(encoders / "bert", LORA), encoders / "bert", tmp_path / "bundle")
    seal(folder, {})
    lent = BundleParams(str(folder), None)
    assert bundle_folder(lent) == folder
    data = (folder / file).read_bytes()
    # The line end of config.json becomes a space: what it says stays the same.
    (folder / file).write_bytes(data[:-1] + bytes([data[-1] ^ 42]))
    with pytest.raises(RetuneError, match=rf"{file}: damaged or changed .*; train it again, or"):
        bundle_folder(lent)


@pytest.mark.parametrize("pinned", [case("B01 no bundle", None), case("B01 pinned", "0" * 64)])
def test_a_bundle_that_is_not_there_is_named(pinned: str | None, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"none: no bundle there .*run the pipeline that trains"):
        bundle_folder(BundleParams(str(tmp_path / "none"), pinned))
