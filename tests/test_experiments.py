import json
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides

from retune.core.errors import RetuneError
from retune.core.params import load_yaml
from retune.preflight.validation import problems_of, read_params, unknown_sections
from retune.tasks.task import tasks
from retune.tools.experiments.experiments import Experiment, load_experiment
from retune.tools.experiments.grid import grid, parse_seeds, planned

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = [ROOT / folder for folder in dict.fromkeys(task.folder for task in tasks().values())]
PRESETS = {
    f"{folder.relative_to(ROOT)} {path.stem}": (folder, path.stem)
    for folder in FOLDERS
    for path in sorted((folder / "experiments").glob("*.yaml"))
}
SENTIMENT = ROOT / "pipelines/sentiment"


def test_the_notebooks_presets_are_all_there() -> None:
    notebooks = (
        *("n1-bert-mini", "n1-lstm", "n1-transformer", "n2-bert-base", "n3-bert-base-cased"),
        *("n5-large", "n3-cased", "n3-uncased", "n4-tiny", "treebank", "treebank-tiny", "n4"),
    )
    assert {*notebooks} <= {name for _, name in PRESETS.values()}


@pytest.mark.parametrize(("folder", "name"), PRESETS.values(), ids=PRESETS)
def test_a_preset_changes_known_params_and_every_stage_accepts_them(
    folder: Path, name: str, tmp_path: Path
) -> None:
    path = changed(folder, name, tmp_path)
    readings = read_params(folder, path)
    assert len(readings) > len(load_yaml(path).get("variants", {}))
    assert problems_of(readings) == []
    assert unknown_sections(readings, folder, path) == []


@pytest.mark.parametrize(
    ("name", "encoder", "phrases", "lr", "batch_size", "max_length"),
    [
        ("n3-cased", "google-bert/bert-base-cased", 65_000, 5e-5, 8, 512),
        ("n3-uncased", "google-bert/bert-base-uncased", 35_000, 5e-5, 8, 512),
        ("n4-tiny", "google-bert/bert-base-cased", None, 2e-5, 32, 128),
    ],
)
def test_those_of_sentiment_have_what_the_notebooks_say(
    name: str, encoder: str, phrases: int | None, lr: float, batch_size: int, max_length: int,
    tmp_path: Path,
) -> None:  # fmt: skip
    values = load_yaml(changed(SENTIMENT, name, tmp_path))["sentiment"]
    assert values["checkpoint"]["name"] == encoder
    assert values["download"]["train_limit"] == phrases
    assert values["tokenize"]["max_length"] == max_length
    expected = {"lr": lr, "batch_size": batch_size, "epochs": 3, "warmup_ratio": 0.0}
    assert values["train"] | expected == values["train"]
    assert values["seeds"] == [1234, 2341, 3412, 4123]


def changed(pipeline: Path, name: str, tmp_path: Path) -> Path:
    """A copy of the pipeline's params with a preset's changes, which are all in there."""
    path = tmp_path / "params.yaml"
    path.write_text((pipeline / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    experiment = load_experiment(name, pipeline / "experiments")
    apply_overrides(path, experiment.overrides())  # what `dvc exp run -S` does; refuses new keys
    values = load_yaml(path)
    for key, value in experiment.changes.items():
        place: Any = values
        for part in key.split("."):
            place = place[part]
        assert place == value, key
    return path


VALUES: list[Any] = [
    "plain", "package:a_b", "with space, comma = {brace} [x]", "it's", "1%", "sample 1%", "é",
    "C:\\x", "end\\", "b\\'q", 3, 3e-5, True, None, [], ["a b", 1],
    [{"path": "data/my file.json", "sha256": None}, {"path": "x", "sha256": "ab"}],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=json.dumps)
def test_every_value_survives_the_way_through_dvc(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("qa:\n  key: 0\n", encoding="utf-8")
    apply_overrides(path, Experiment("one", {"qa.key": value}).overrides())
    assert load_yaml(path) == {"qa": {"key": value}}


def test_a_grid_has_every_combination_under_a_name_of_its_own() -> None:
    points = grid(["qa.model=bert,lstm", "qa.train.lr=1e-4, 2e-4"])
    assert [point.name for point in points] == [
        "bert-lr=1e-4", "bert-lr=2e-4", "lstm-lr=1e-4", "lstm-lr=2e-4",
    ]  # fmt: skip
    signs = [point.name for point in grid(["qa.postprocess.null_threshold=-1,1"])]
    assert signs == ["null_threshold=-1", "null_threshold=1"]
    assert points[1].overrides() == ["qa.model=bert", "qa.train.lr=2e-4"]
    assert grid([]) == []


def test_a_long_name_leaves_out_keys_with_one_value_but_the_model() -> None:
    long = ["qa.train.warmup_ratio=0.1", "qa.train.gradient_accumulation=2", "qa.model=lstm"]
    assert [point.name for point in grid([*long, "qa.seed=1,2"])] == ["lstm-seed=1", "lstm-seed=2"]
    name = "warmup_ratio=0.1-gradient_accumulation=2"
    assert [point.name for point in grid(long[:2])] == [name]
    (single,) = grid([*long[:2], "qa.train.weight_decay=0.1"])
    assert single.name == f"{name}-weight_decay=0.1"  # all keys have one value
    assert [point.name for point in grid(["qa.models.bert_lora.targets=[query,key]"])] == [
        "targets=query-key"
    ]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("qa.model=", "expected key=value"),
        ("=bert", "expected key=value"),
        ("qa.model=bert,", "expected key=value"),
        ("qa.train.epochs=1,1", "a value is given twice"),
        ("qa.seed=1,01", "1 is given twice"),
        ("qa.train.lr=1e-4,0.0001", "a value is given twice"),
    ],
)
def test_a_bad_assignment_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(RetuneError, match=message):
        grid([assignment])


def test_an_unknown_experiment_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("qa: {}\n", encoding="utf-8")
    with pytest.raises(RetuneError, match=r"two.yaml: no such experiment; there are: one"):
        load_experiment("two", tmp_path)


def test_the_changes_of_another_params_file_name_it() -> None:
    one = Experiment("one", {"qa.seed": 1, "qa.model": "lstm"})
    assert one.overrides("a/params.yaml") == [
        "a/params.yaml:qa.seed=1",
        "a/params.yaml:qa.model=lstm",
    ]


def test_seeds_take_the_place_of_an_experiments_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/one.yaml").write_text("qa: {seed: 42, model: lstm}\n")
    experiments = planned(["one", "qa.model=bert"], "7, 8")
    assert [experiment.name for experiment in experiments] == [
        "one-seed=7", "one-seed=8", "bert-seed=7", "bert-seed=8",
    ]  # fmt: skip
    assert experiments[1].changes == {"qa.seed": 8, "qa.model": "lstm"}
    assert [experiment.name for experiment in planned(["one"])] == ["one"]
    with pytest.raises(RetuneError, match=r"qa.seed=... and --seeds both set the seeds"):
        planned(["qa.seed=1,2"], "3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,1", "1 is given twice"),
        ("1,01", "1 is given twice"),
        ("1,,2", "'' is not a seed"),
        ("-1", "'-1' is not a seed; give whole numbers from 0 to 4294967295, separated by commas"),
        ("1.5", "'1.5' is not a seed"),
        ("4294967296", "'4294967296' is not a seed"),
        ("null", "'null' is not a seed"),
        ("²", "'²' is not a seed"),
    ],
)
def test_what_is_no_list_of_distinct_seeds_is_refused(text: str, message: str) -> None:
    with pytest.raises(RetuneError, match=message):
        parse_seeds(text)


def test_the_least_and_the_largest_seed_are_read() -> None:
    assert parse_seeds("0,4294967295") == [0, 4294967295]
