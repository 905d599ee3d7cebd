"""Two processes (gloo) run the stages that only read a model: the bytes are those of one."""

import importlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sentiment_runs
import speaking_runs
import tiny
import torch
import training_runs
import yaml
from stage_runs import ROOT
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedModel
from two_processes import together

from retune.core.files import sha256
from retune.core.manifests import seal
from retune.core.params import Params, load_yaml
from retune.core.stage import call
from retune.models.pretrained_files import WEIGHTS
from retune.processes.share import Share
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize
from retune.tasks.sentiment.probe.probe_files import COLUMNS

LENGTHS = {
    "max_length": 64, "doc_stride": 16, "max_question_length": 16, "windows": "all",
    "max_lost_answers": 1.0, "max_unknown_tokens": 1.0,
}  # fmt: skip
READING = {"n_best": 3, "max_answer_length": 30, "null_threshold": 0.0}
PROBES = [
    ("MFT", "the storm destroyed it", "", "0"),
    ("MFT", "ships return home", "", "1"),
    ("INV", "a storm in 1955", "A STORM in 1955", "same"),
    ("DIR", "the ships of the mayor", "the old ships of the mayor", "down"),
]
#: Of each stage: its script, the variant, what it reads of the data, and what it writes.
STAGES: dict[str, tuple[str, str | None, list[str], list[str]]] = {
    "predict": (
        "qa.predict", None, ["qa/test_features", "qa/model"], ["logits"]
    ),
    "predict one batch": (
        "qa.predict", "one_batch", ["qa/test_features", "qa/model"], ["logits"]
    ),
    "validate": (
        "qa.validate", None, ["qa/raw", "qa/features", "qa/model"],
        ["metrics.json", "scores", "n_best"],
    ),
    "perturb": (
        "qa.perturb", None, ["qa/test", "qa/logits", "qa/predictions", "qa/model"],
        ["metrics.json", "table.csv", "questions"],
    ),
    "teach": ("qa.teach", None, ["qa/raw"], ["taught", "metrics.json"]),
    "sentiment": (
        "sentiment.predict", "lstm", ["texts/raw", "texts/features", "texts/runs/1/model"],
        ["predictions"],
    ),
    "probe": ("sentiment.probe", "lstm", ["texts/runs"], ["metrics.json"]),
    "beam search": (
        "language_model.generate", "beams3", ["stories/features", "stories/after"], ["generated"]
    ),
    "sampling": (
        "language_model.generate", "sampling", ["stories/features", "stories/after"], ["generated"]
    ),
    "perplexity": (
        "language_model.perplexity", None, ["stories/features", "stories/after"],
        ["likelihoods", "metrics.json"],
    ),
    "plots": (
        "language_model.plots", None, ["stories/features", "stories/after"],
        ["tokens.csv", "beams.csv", "positions.csv", "pairs.csv", "texts.json", "coloured.html"],
    ),
}  # fmt: skip


def run_stages(data: Path, folder: Path) -> None:
    """Run all stages; each process writes to a folder of its own, and counts its batches."""
    torch.set_num_threads(1)
    rank, counts = os.environ.get("RANK", "0"), {}
    for name, (script, variant, reads, writes) in STAGES.items():
        main = importlib.import_module(f"stages.{script}").main
        paths = [*(data / path for path in reads), *(folder / rank / name / p for p in writes)]
        options = {"n_best": paths.pop()} if script == "qa.validate" else {}
        computed: list[int] = []
        with (
            patch.object(Params, "chosen", (data / f"{script.split('.')[0]}.yaml", variant)),
            patch.object(Share, "computed", counting(computed)),
        ):
            call(main, *paths, **options)
        counts[name] = len(computed)
    (folder / f"{rank}.json").write_text(json.dumps(counts), encoding="utf-8")


def counting(computed: list[int]) -> Callable[..., Iterator[Any]]:
    """`Share.computed`, with a note of each batch that this process computes."""
    method = Share.computed

    def noted(share: Share, rows: Any, size: int, compute: Callable[[Any], Any]) -> Iterator[Any]:
        def count(batch: Sequence[Any]) -> Any:
            computed.append(len(batch))
            return compute(batch)

        return method(share, rows, size, count)

    return noted


def write_reader(folder: Path) -> None:
    """Write questions, their windows, a random reader and its answers."""
    training_runs.write_features(folder, questions=7)
    torch.manual_seed(1)
    sizes = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "initializer_range": 1.0,
    }  # fmt: skip
    config = BertConfig(vocab_size=len(tiny.wordpiece()), **sizes)
    write_model(folder / "model", BertForQuestionAnswering(config))
    (folder / "test").mkdir()
    shutil.copy(folder / "raw/validation.jsonl", folder / "test/test.jsonl")
    tokenize(
        folder / "test", folder / "test_features", folder / "w.json", tokenizer=tiny.wordpiece(),
        params=TokenizeParams(**LENGTHS), scoring=ScoreParams("squad"), squad_v2=False,
    )  # fmt: skip
    model = BertForQuestionAnswering.from_pretrained(folder / "model")
    predict(folder / "test_features", model, folder / "logits", PredictParams(2, "fp32"))
    postprocess(
        folder / "test", folder / "test_features", folder / "logits", folder / "predictions",
        PostprocessParams(**READING), squad_v2=False,
    )  # fmt: skip
    for name in ("test", "test_features", "logits", "predictions"):
        seal(folder / name, {"inputs": {}, "params": {}})


def write_model(folder: Path, model: PreTrainedModel) -> None:
    model.save_pretrained(folder)
    tiny.wordpiece().save_pretrained(folder)
    seal(folder, {"inputs": {}, "params": {}})


def write_classifiers(folder: Path) -> None:
    """Write texts, their features, and random models of two seeds."""
    sentiment_runs.write_features(sentiment_runs.write_data(folder))
    build, params = sentiment_runs.MODULES["lstm"].build, sentiment_runs.PARAMS["lstm"]
    for seed in (1, 2):
        torch.manual_seed(seed)
        size = len(tiny.wordpiece())
        model = build(params, folder / "encoder", vocabulary_size=size, pad_token_id=0)
        write_model(folder / f"runs/{seed}/model", model)
    rows = ["\t".join(row) for row in [COLUMNS, *PROBES]]
    (folder / "probes").mkdir()
    (folder / "probes/storms.tsv").write_text("\n".join([*rows, ""]), encoding="utf-8")


def write_params(data: Path) -> None:
    """Write the params of the three tasks, with batches so small that there are several."""
    prediction = {"batch_size": 2, "precision": "fp32"}
    qa = load_yaml(ROOT / "params.yaml")["qa"] | {
        "tokenize": LENGTHS, "postprocess": READING, "predict": prediction,
        "perturb": {"questions": 2, "seed": 1},
    }  # fmt: skip
    variants: dict[str, Any] = {"one_batch": {"predict": {"batch_size": 100}}}
    teacher = {"path": str(data / "qa/model"), "sha256": sha256(data / "qa/model" / WEIGHTS)}
    values = {"qa": qa, "pretraining": {"teacher": teacher, "teacher_model": "bert"}}
    (data / "qa.yaml").write_text(yaml.safe_dump(values | {"variants": variants}))

    values = load_yaml(ROOT / "pipelines/sentiment/params.yaml")
    values["sentiment"] |= {
        "seeds": [1, 2], "tokenize": {"max_length": 12}, "predict": prediction,
        "probe": {"folder": str(data / "texts/probes"), "tolerance": 0.1},
    }  # fmt: skip
    (data / "sentiment.yaml").write_text(yaml.safe_dump(values))

    values = load_yaml(ROOT / "pipelines/language_model/params.yaml")
    values["language_model"]["generate"] |= {"batch_size": 1, "max_new_tokens": 6}
    values["language_model"]["perplexity"] |= {"window": 16, "stride": 8, "batch_size": 3}
    values["language_model"]["plots"] |= {
        "batch_size": 1, "prompts": [{"text": "Once upon", "beams": [2], "max_new_tokens": 3}],
        "pairs": {"beams": [1, 2], "max_new_tokens": 3, "repeated_ngram": 3},
    }  # fmt: skip
    (data / "language_model.yaml").write_text(yaml.safe_dump(values))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one process has written, and what two have."""
    data = tmp_path_factory.mktemp("data")
    write_reader(data / "qa")
    write_classifiers(data / "texts")
    speaking_runs.write_model(
        speaking_runs.write_features(data / "stories"), data / "stories/after"
    )
    write_params(data)
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    run_stages(data, one)
    assert together(run_stages, data, two) == [0, 0]
    return one, two


@pytest.mark.parametrize("name", STAGES)
def test_the_bytes_are_those_of_one_process(name: str, results: tuple[Path, Path]) -> None:
    one, two = (sums(folder / "0" / name) for folder in results)
    assert {path.split("/")[0] for path in one} == {*STAGES[name][3]}
    assert one == two


def sums(folder: Path) -> dict[str, str]:
    """The sums of all files in a folder."""
    files = filter(Path.is_file, folder.rglob("*"))
    return {file.relative_to(folder).as_posix(): sha256(file) for file in files}


@pytest.mark.parametrize("name", STAGES)
def test_each_batch_is_computed_by_one_process(name: str, results: tuple[Path, Path]) -> None:
    alone, first, second = (
        json.loads((folder / file).read_text())[name]
        for folder, file in zip((*results, results[1]), ("0.json", "0.json", "1.json"), strict=True)
    )
    assert first + second == alone
    assert first >= second
    assert (second > 0) == (name != "predict one batch")


def test_every_stage_that_reads_a_model_in_several_processes_is_here() -> None:
    scripts = {
        f"{path.parent.name}.{path.stem}": path.read_text(encoding="utf-8")
        for path in (ROOT / "stages").glob("*/[a-z]*.py")
    }
    launched = {name for name, text in scripts.items() if "run_launched(main)" in text}
    trains = {name for name, text in scripts.items() if ": Trained" in text}
    assert trains < launched
    assert {script for script, *_ in STAGES.values()} == launched - trains
    assert {name for name, text in scripts.items() if "Share.of_launch()" in text} == (
        launched - trains
    )


def test_only_the_first_process_writes(results: tuple[Path, Path]) -> None:
    _, two = results
    assert {path.name for path in two.iterdir()} == {"0", "0.json", "1.json"}
