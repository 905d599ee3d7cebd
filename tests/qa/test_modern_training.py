"""ModernBERT and DeBERTa v3 go through training, reading and exporting as BERT does."""

from pathlib import Path
from typing import Any

import modern_encoders
import pytest
import tiny
import training_runs
import yaml

from retune import Reader
from retune.core.files import read_json
from retune.core.manifests import seal
from retune.inference.exported import GRAPHS
from retune.models.pretrained_files import load_tokenizer
from retune.tasks.qa.predict import batches
from retune.tasks.qa.predict.reader import load
from retune.tools.export.conversion import convert

FAMILIES = ["thousand-modernbert-base", "thousand-deberta-v3-small"]
SETTINGS: dict[str, Any] = {
    "tokenize": {
        "max_length": 128, "doc_stride": 8, "max_question_length": 16, "windows": "all",
        "max_lost_answers": 0.0, "max_unknown_tokens": 1.0,
    },
    "predict": {"batch_size": 4, "precision": "fp32"},
    "postprocess": {"n_best": 5, "max_answer_length": 10, "null_threshold": 0.0},
}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that has been trained on packed windows."""
    folder = training_runs.write_features(tmp_path_factory.mktemp("modern"))
    family, sizes, _ = modern_encoders.PUBLISHED[request.param]
    sizes = {name: value for name, value in sizes.items() if name != "vocab_size"}
    changes = {"initializer_range": 0.2, "max_position_embeddings": 128}
    tiny.write_checkpoint(folder / "encoder", family, **sizes | changes)
    training_runs.run(folder, folder, epochs=20, lr=3e-3, dropout=0.0)
    params = {"qa.model": "bert", "qa.squad_v2": False}
    seal(folder / "model", {"inputs": {}, "params": params})
    (folder / "params.yaml").write_text(yaml.safe_dump({"qa": SETTINGS}), encoding="utf-8")
    (folder / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    return folder


def questions() -> tuple[list[str], list[str], list[str]]:
    """The questions of the training, their contexts and answers."""
    rows = [(q, text, a) for text, pairs in zip(tiny.TEXTS[:4], tiny.QUESTIONS, strict=False)
            for q, a in pairs]  # fmt: skip
    return tuple(map(list, zip(*rows, strict=True)))  # type: ignore[return-value]


def test_it_learns_from_packed_windows_and_answers(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, contexts, answers = questions()
    reader = Reader(trained / "model")
    packed = reader(asked, contexts)
    right = sum(found["answer"] == answer for found, answer in zip(packed, answers, strict=True))
    assert right >= 6  # of 8
    model = load("bert", trained / "model")
    assert batches.Collator.for_model(model, load_tokenizer(trained / "model"), "fp32").packed
    monkeypatch.setattr(batches, "use_packing", lambda _: False)
    padded = Reader(trained / "model")(asked, contexts)
    assert [found["answer"] for found in padded] == [found["answer"] for found in packed]
    for one, other in zip(padded, packed, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_nothing_of_packing_is_in_the_saved_model(trained: Path) -> None:
    config = read_json(trained / "model/config.json")
    assert "retune_packed" not in str(config)
    assert config["architectures"][0].startswith(("ModernBertFor", "DebertaV2For"))


@pytest.mark.parametrize("format_", ["onnx", "openvino"])
def test_it_is_exported_with_the_same_logits_or_refused_by_name(
    format_: Any, trained: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip({"onnx": "onnxruntime"}.get(format_, format_))
    model = load("bert", trained / "model")
    convert(model, format_, tmp_path)
    assert (tmp_path / GRAPHS[format_]).is_file()
