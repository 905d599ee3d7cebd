import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from training_runs import base, fusion_params, outputs, run, settings, write_features
from transformers import Trainer

from retune.core.errors import RetuneError
from retune.core.params import load_yaml, module_names
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.train.evaluation import Evaluation, span_loss
from retune.tasks.qa.train.train import train
from retune.training.arguments import Stopwatch, resolved_precision, training_arguments

ROOT = Path(__file__).resolve().parents[2]
PREDICTION = PredictParams(batch_size=3, precision="fp32")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(data, tmp_path_factory.mktemp("trained"), dropout=0.0, epochs=140, log_every=10)


def test_a_model_memorises_its_questions(trained: Path) -> None:
    validation = pd.read_csv(trained / "curves" / "validation.csv")
    assert len(validation) == 140
    assert validation["f1"].max() == 100
    assert validation["loss"].min() < 0.5 * validation["loss"].iloc[0]


def test_scores_after_reload_are_those_of_the_best_epoch(
    trained: Path, data: Path, tmp_path: Path
) -> None:
    from retune.tasks.qa.postprocess.postprocess import answers
    from retune.tasks.qa.questions.examples import read_examples
    from retune.tasks.qa.score.score import evaluate_answers
    from retune.tasks.qa.windows.features import read_windows

    predict(
        data / "features",
        load("bert", trained / "model"),
        tmp_path / "logits",
        PREDICTION,
        "validation",
    )
    examples = list(read_examples(data / "raw" / "validation.jsonl"))
    found = answers(
        examples,
        read_windows(data / "features" / "validation.arrow"),
        np.load(tmp_path / "logits" / "logits.npy"),
        settings().evaluation,
        squad_v2=False,
    )
    golds = [(e.id, [a.text for a in e.answers]) for e in examples]
    best = pd.read_csv(trained / "curves" / "validation.csv")["f1"].max()
    assert evaluate_answers(golds, found.texts, squad_v2=False).f1 == pytest.approx(best)


def test_the_output_is_in_hugging_face_layout_and_holds_no_path(trained: Path) -> None:
    names = {path.name for path in (trained / "model").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    for path in (trained / "model").glob("*.json"):
        assert str(trained.parent) not in path.read_text(encoding="utf-8")
    assert not list((trained / "checkpoints").iterdir())


def test_curves_and_costs_are_written(trained: Path) -> None:
    curve = pd.read_csv(trained / "curves" / "train.csv")
    assert list(curve) == ["step", "epoch", "loss", "learning_rate"]
    assert curve["learning_rate"].iloc[-1] < curve["learning_rate"].max() / 10
    (costs,) = json.loads((trained / "costs.json").read_text())["qa"]["details"]
    model = load("bert", trained / "model")
    assert costs["parameters"] == sum(weight.numel() for weight in model.parameters())
    (times,) = json.loads((trained / "times.json").read_text())["qa"]["details"]
    assert times["train_windows_per_second"] > 0
    assert any("threads" in line for line in times["environment"])
    assert list((trained / "logs" / "dvclive").rglob("*.tsv"))
    assert list((trained / "logs" / "tensorboard").rglob("events*"))


def test_same_seed_same_bytes_and_another_seed_others(data: Path, tmp_path: Path) -> None:
    runs = [run(data, tmp_path / str(n), seed=seed) for n, seed in enumerate([7, 7, 8])]
    first, second, other = map(outputs, runs)
    assert first == second
    assert first["model.safetensors"] != other["model.safetensors"]


def script_scores(monkeypatch: pytest.MonkeyPatch, f1s: list[float]) -> None:
    """Let the evaluations report these F1s, one after the other."""
    coming = iter(f1s)
    figures = {"loss": 1.0, "exact_match": 0.0}
    monkeypatch.setattr(Evaluation, "__call__", lambda *_: figures | {"f1": next(coming)})


def test_the_weights_of_the_best_epoch_are_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_scores(monkeypatch, [10, 50])
    last = run(data, tmp_path / "last", epochs=2)
    script_scores(monkeypatch, [50, 10])
    first = run(data, tmp_path / "first", epochs=2)
    script_scores(monkeypatch, [50, 50])
    tie = run(data, tmp_path / "tie", epochs=2)
    sums = [outputs(folder)["model.safetensors"] for folder in (last, first, tie)]
    assert sums[0] != sums[1]
    assert sums[1] == sums[2]  # of equals the earlier


def test_training_stops_after_epochs_without_a_better_f1(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_scores(monkeypatch, [10, 50, 20, 50, 60, 70])
    folder = run(data, tmp_path, epochs=6, patience=2)
    assert pd.read_csv(folder / "curves" / "validation.csv")["f1"].tolist() == [10, 50, 20, 50]


def test_the_learning_rate_rises_and_falls_over_all_steps(data: Path, tmp_path: Path) -> None:
    folder = run(
        data, tmp_path, batch_size=2, gradient_accumulation=2, epochs=3, warmup_ratio=0.3, lr=6e-3
    )
    curve = pd.read_csv(folder / "curves" / "train.csv")
    # 8 windows make 2 steps an epoch; 0.3 of 6 steps, rounded up, are 2 of warm-up.
    assert curve["step"].tolist() == [1, 2, 3, 4, 5, 6]
    expected = [0.0, 3e-3, 6e-3, 4.5e-3, 3e-3, 1.5e-3]
    assert curve["learning_rate"].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("variant", module_names("retune.tasks.qa.models"))
def test_weight_decay_spares_biases_and_norms_of_every_variant(variant: str, data: Path) -> None:
    module = importlib.import_module(f"retune.tasks.qa.models.{variant}")
    section = load_yaml(ROOT / "params.yaml")["qa"]["models"][variant]
    fusion = variant == "bert_adapter_fusion"  # whose bundles another pipeline trains
    params = fusion_params(data) if fusion else module.Params(**section)
    model = module.build(params, data / "encoder", len(tiny.vocabulary()), 0)
    decayed = set(Trainer.get_decay_parameter_names(None, model))
    spared = {name for name, _ in model.named_parameters()} - decayed
    assert decayed
    assert not [name for name in decayed if "bias" in name or "norm" in name.lower()]
    assert all("bias" in name or "norm" in name.lower() for name in spared)


@pytest.mark.parametrize(
    ("setting", "padded", "expected"),
    [
        ("auto", True, "group_by_length"),
        ("auto", False, "random"),
        (True, False, "group_by_length"),
        (False, True, "random"),
    ],
)
def test_batches_of_similar_length_are_for_models_that_pay_for_padding(
    setting: bool | str, padded: bool, expected: str, tmp_path: Path
) -> None:
    params = settings(group_by_length=setting)
    arguments = training_arguments(params, 1, tmp_path, tmp_path, best_metric="f1", padded=padded)
    assert arguments.train_sampling_strategy == expected


def test_logits_that_are_no_numbers_are_refused(trained: Path, data: Path, tmp_path: Path) -> None:
    model = load("bert", trained / "model")
    with torch.no_grad():
        model.get_parameter("qa_outputs.bias").fill_(float("nan"))
    with pytest.raises(RetuneError, match="a logit that is not a number at window"):
        predict(
            data / "features",
            model,
            tmp_path / "logits",
            PredictParams(batch_size=4, precision="fp32"),
            "validation",
        )
    assert not (tmp_path / "logits").exists()


def test_windows_longer_than_the_model_are_refused(data: Path, tmp_path: Path) -> None:
    def short(**_: int) -> Any:
        from transformers import BertConfig, BertForQuestionAnswering

        return BertForQuestionAnswering(
            BertConfig(vocab_size=200, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                       intermediate_size=8, max_position_embeddings=16)
        )  # fmt: skip

    with pytest.raises(RetuneError, match=r"max_length: \d+ tokens are more than the 16 positions"):
        train(
            data / "raw", data / "features", tmp_path / "m", tmp_path / "c", tmp_path / "k.json",
            tmp_path / "t.json", build=short, base=base(data), params=settings(), seed=1,
            squad_v2=False,
        )  # fmt: skip


def test_batch_size_does_not_change_where_logits_go(
    trained: Path, data: Path, tmp_path: Path
) -> None:
    model = load("bert", trained / "model")
    for size in (1, 3, 8):
        predict(
            data / "features",
            model,
            tmp_path / str(size),
            PredictParams(batch_size=size, precision="fp32"),
            "validation",
        )
    one, three, eight = (np.load(tmp_path / s / "logits.npy") for s in ("1", "3", "8"))
    assert one.shape[1] == 2
    np.testing.assert_allclose(one, three, atol=1e-5)
    np.testing.assert_allclose(one, eight, atol=1e-5)
    windows = json.loads((tmp_path / "1" / "windows.json").read_text())
    assert windows["tokens"] == len(one)


positions = st.lists(st.tuples(st.integers(-2, 7), st.integers(-2, 7)), min_size=1, max_size=4)


@given(positions)
def test_span_loss_is_the_mean_cross_entropy_of_positions_inside(
    spans: list[tuple[int, int]],
) -> None:
    start_logits, end_logits = torch.randn(2, len(spans), 5)
    start, end = torch.tensor(spans).T
    expected = 0.0
    for logits, position in ((start_logits, start), (end_logits, end)):
        inside = (position >= 0) & (position < 5)
        if inside.any():
            expected += F.cross_entropy(logits[inside], position[inside]).item() / 2
    assert span_loss(start_logits, end_logits, start, end).item() == pytest.approx(
        expected, abs=1e-6
    )


def test_span_loss_equals_that_of_transformers() -> None:
    from transformers import BertConfig, BertForQuestionAnswering

    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=16)  # fmt: skip
    model = BertForQuestionAnswering(config).eval()
    ids, start, end = (
        torch.randint(0, 50, (3, 9)),
        torch.tensor([0, 3, 20]),
        torch.tensor([1, 8, 4]),
    )
    output = model(input_ids=ids, start_positions=start.clone(), end_positions=end.clone())
    ours = span_loss(output.start_logits, output.end_logits, start, end)
    assert ours.item() == pytest.approx(output.loss.item(), abs=1e-6)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")],
)
def test_precision_auto_is_what_the_processor_multiplies(
    capabilities: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolved_precision("auto") == expected
    assert resolved_precision("fp16") == "fp16"


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp16")])
def test_precision_auto_on_a_gpu(
    native: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: native)
    assert resolved_precision("auto") == expected


def test_the_stopwatch_leaves_pauses_out() -> None:
    times = iter([0.0, 10.0, 25.0, 40.0])
    watch = Stopwatch(100.0, lambda: next(times))
    watch.pause()
    watch.resume()
    assert watch.seconds == 125.0
