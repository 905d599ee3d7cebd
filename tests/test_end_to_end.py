"""Whole pipelines on a tiny corpus with a tiny encoder, in a copy of the project."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from projects import ROOT, SIZES, Project

from retune.core.params import module_names
from retune.tasks.qa.task import TASK
from retune.tools.experiments.experiments import load_experiment

MODELS = module_names("retune.tasks.qa.models")
SCORES = [TASK.key(figure.name) for figure in TASK.compared]
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow
#: The stages in their order.
ALL = [
    *("download", "tokenize", "tokenize_test", "train"),
    *("predict", "postprocess", "score", "analyse", "validate"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Built once, with a space in its path; tests run in their order."""
    return Project(tmp_path_factory.mktemp("a project"), forked=True)


def test_no_size_is_for_a_model_that_is_gone() -> None:
    assert set(SIZES) <= set(MODELS)


@pytest.mark.parametrize("model", ["bert", *(m for m in MODELS if m != "bert")])
def test_a_variant_runs_from_raw_data_to_a_score(model: str, project: Project) -> None:
    with project.params() as qa:
        qa["model"] = model
    ran = project.repro()
    shared = ["download", "tokenize", "tokenize_test"] if model == "bert" else []
    assert ran == [*shared, *ALL[ALL.index("train") :]]
    scores = project.metrics("qa.json")
    assert 0 <= scores["exact_match"] <= scores["f1"] <= 100
    assert scores["details"][0]["questions"] == 4
    assert set(project.predictions()) == {"q4-0", "q4-1", "q5-0", "q5-1"}
    assert all(project.predictions().values())
    wrong = 4 - scores["details"][0]["exact_matches"]
    assert sum(row["questions"] for row in project.metrics("qa_analysis.json")["errors"]) == wrong
    assert project.metrics("qa_costs.json")["details"][0]["parameters"] > 1000
    assert "up to date" in project.run("dvc", "repro")
    assert asked(project) == {id_: project.predictions()[id_] for id_ in ("q4-0", "q4-1")}
    project.commit(model)


def asked(project: Project) -> dict[str, str]:
    """The answers that `retune ask` gives to the questions of the first test context."""
    rows = project.folder.joinpath("data/qa/test/test.jsonl").read_text(encoding="utf-8")
    examples = [json.loads(row) for row in rows.splitlines()]
    about = {e["question"]: e for e in examples if e["context"] == examples[0]["context"]}
    (project.folder / "data/context.txt").write_text(examples[0]["context"], encoding="utf-8")
    printed = project.run("retune", "ask", "--context", "data/context.txt", "--json", *about)
    found = {}
    for line in filter(lambda line: line.startswith("{"), printed.splitlines()):
        reply = json.loads(line)
        example = about[reply["question"]]
        assert example["context"][reply["start"] : reply["end"]] == reply["answer"]
        found[example["id"]] = reply["answer"]
    return found


def test_dropped_questions_are_counted(project: Project) -> None:
    train, validation, test = project.metrics("qa_download.json")["download"]
    assert train["findings"]["dropped_unanswerable"] == 4
    for split in (validation, test):
        assert split["findings"]["dropped_unanswerable"] == 2


def test_two_processes_train_and_predict_through_one_setting(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETUNE_LAUNCH", "--config_file configs/launch/cpu.yaml")
    train = ["python", "-m", "stages.qa.train", "data/qa/raw", "data/qa/features"]
    outputs = ["data/two/model", "data/two/curves", "data/two/costs.json", "data/two/times.json"]
    output = project.run(*train, *outputs)
    assert output.count("best epoch 1: EM") == output.count("epoch 1/1") == 1
    assert "Warning" not in output
    times = json.loads((project.folder / "data/two/times.json").read_text())["qa"]
    assert "2 processes" in times["details"][0]["environment"]
    for curve in ("train", "validation"):
        files = [project.folder / f"{top}/{curve}.csv" for top in ("metrics/qa_curves", outputs[1])]
        pd.testing.assert_frame_equal(*map(pd.read_csv, files), atol=1e-3, rtol=1e-2)
    predict = ["python", "-m", "stages.qa.predict", "data/qa/test_features", "data/qa/model"]
    assert project.run(*predict, "data/two/logits").count(" windows, ") == 1
    one, two = (project.folder / f"data/{name}/logits" for name in ("qa", "two"))
    assert (one / "logits.npy").read_bytes() == (two / "logits.npy").read_bytes()
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()
    with project.params() as qa:
        qa["train"]["batch_size"] = 3
    output = project.run(*train, "data/three/model", *outputs[1:], fails=True)
    assert output.count("error: qa.train.batch_size is 3, which 2 processes cannot share") == 1
    assert "Traceback" not in output
    assert not (project.folder / "data/three/model").exists()
    project.run("git", "checkout", "params.yaml")


def test_the_scores_are_the_only_metrics_in_dvcs_tables(project: Project) -> None:
    shown = json.loads(project.run("dvc", "exp", "show", "--json"))
    data = shown[0]["data"]["metrics"]
    files = [file["data"] for name, file in data.items() if name.startswith("metrics/")]
    columns = {key for file in files for key in flat(file)}
    assert columns == {*SCORES}
    headings = project.run("dvc", "exp", "show", "--csv").split("\n")[0].split(",")
    assert headings[headings.index("parent") + 1 :][: len(SCORES)] == SCORES


def test_the_readmes_table_of_experiments_fits_80_columns(project: Project) -> None:
    (drop,) = re.findall(r"dvc exp show --drop '(.*?)'", README)
    heading, *rows = project.run("dvc", "exp", "show", "--drop", drop).splitlines()[1:]
    assert heading.split() == ["Experiment", *SCORES, "qa.model"]
    assert max(map(len, [heading, *rows])) <= 80


@pytest.mark.parametrize(
    "command",
    ["dvc status", "dvc dag", "dvc metrics show", "dvc params diff", "dvc checkout",
     "dvc plots show", "dvc exp list"],
)  # fmt: skip
def test_at_the_top_dvc_is_about_question_answering_alone(project: Project, command: str) -> None:
    printed = project.run(*command.split())
    assert not re.search(r"pipelines/|sentiment|adapters|language_model", printed)
    assert len(printed.splitlines()) <= 50


def test_the_stages_that_explain_a_run_end_the_whole_graph(tmp_path: Path) -> None:
    project = Project(tmp_path, forked=True, whole=True)
    with project.params() as qa:
        qa["perturb"]["questions"] = 4
    explaining = ["perturb", "validate", "calibrate", "confidence"]
    assert project.repro() == [*ALL[:-1], *explaining]
    perturbed = project.metrics("qa_perturbations.json")["perturbations"]
    assert {row["questions"] for row in perturbed[:2]} == {4}
    (promise,) = project.metrics("qa_confidence.json")["promise"]
    assert promise["validation_passages"] == 2


def flat(tree: dict[str, Any], prefix: str = "") -> set[str]:
    names: set[str] = set()
    for key, value in tree.items():
        names |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return names


def test_changing_n_best_answers_and_scores_again_only(project: Project) -> None:
    with project.params() as qa:
        qa["postprocess"]["n_best"] = 3
    score = ["score", "analyse", "validate"]
    assert project.repro() in (["postprocess", "validate"], ["postprocess", *score])  # by answers
    with project.params() as qa:
        qa["postprocess"]["max_answer_length"] = 1
    assert project.repro() == ["postprocess", *score]
    nbest = (project.folder / "data/qa/predictions/nbest.jsonl").read_text().splitlines()
    assert all(len(json.loads(line)["candidates"]) <= 3 for line in nbest)


def test_editing_another_model_runs_nothing_and_editing_this_one_trains(project: Project) -> None:
    with project.params() as qa:
        qa["model"] = "bert"
    project.repro()
    models = project.folder / "src/retune/tasks/qa/models"
    for name in MODELS:
        if name != "bert":
            with (models / f"{name}.py").open("a", encoding="utf-8") as file:
                file.write("# edited\n")
    assert project.repro() == []
    with (models / "bert.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    # The same weights come out, so that what follows has nothing to do but predict.
    assert project.repro() == ["train", "predict", "validate"]
    project.run("git", "checkout", "src")


def test_squad_2_runs_on_the_same_data(project: Project) -> None:
    with project.params() as qa:
        qa["squad_v2"] = True
    ran = project.repro()
    assert ran == ALL
    groups = {row["group"]: row["questions"] for row in project.metrics("qa.json")["details"]}
    assert groups == {"all": 6, "HasAns": 4, "NoAns": 2}
    project.run("git", "checkout", ".")


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "experiments").iterdir()))
def test_the_graph_of_a_preset_builds(name: str, project: Project) -> None:
    path = project.folder / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    experiment = load_experiment(name, ROOT / "experiments")
    apply_overrides(path, experiment.overrides())
    ran = re.findall(r"Running stage '(\w+)'", project.run("dvc", "repro", "--dry", "--force"))
    assert ran == ["check", *ALL]
    project.run("git", "checkout", ".")


def test_a_changed_file_of_ones_own_is_seen(project: Project) -> None:
    project.repro()
    path = project.folder / "own/train.json"
    path.write_text(path.read_text(encoding="utf-8").replace("Sula", "Hala"), encoding="utf-8")
    assert project.repro()[:2] == ["download", "tokenize"]
    project.run("git", "checkout", ".")


def test_a_bad_parameter_is_a_sentence_and_no_output_is_lost(project: Project) -> None:
    outputs = [
        project.folder / name for name in ("data/qa/raw", "data/qa/model", "metrics/qa.json")
    ]
    assert all(path.exists() for path in outputs)
    with project.params() as qa:
        qa["train"]["lr"] = "abc"
        qa["train"]["epochs"] = 0
        qa["train"]["epoch"] = 1
    output = project.run("dvc", "repro", fails=True)
    assert "qa.train.lr: input should be a valid number; got 'abc'" in output
    assert "qa.train.epochs: input should be greater than or equal to 1; got 0" in output
    assert "qa.train.epoch: unknown key, did you mean `epochs`?" in output
    assert "Traceback" not in output
    project.run("git", "checkout", ".")
    output = project.run("dvc", "exp", "run", "-S", "qa.dataset=file", fails=True)
    assert "qa.dataset: no 'file'; allowed: bundled, files, squad, squad_v2; did you" in output
    assert all(path.exists() for path in outputs)
    project.run("git", "checkout", ".")


def test_a_sweep_goes_on_after_a_failure_and_reports_it(project: Project) -> None:
    project.run("dvc", "repro")
    project.commit("before the sweep")
    before = (project.folder / "params.yaml").read_bytes()
    output = project.run(
        "python", "-m", "retune.tools.cli.main", "sweep", "qa.train.precision=fp16,bf16", fails=True
    )
    assert "1 of 2 experiments failed" in output
    assert "precision=fp16: see logs/precision=fp16.log" in output
    log = (project.folder / "logs/precision=fp16.log").read_text(encoding="utf-8")
    assert "qa.train.precision is fp16" in log
    assert (project.folder / "params.yaml").read_bytes() == before
    rows = json.loads(
        project.run("python", "-m", "retune.tools.cli.main", "table", "--json", "precision=bf16")
    )
    assert [row["name"] for row in rows] == ["precision=bf16"]
    assert 0 <= rows[0]["qa.f1"] <= 100
    again = project.run(
        "python", "-m", "retune.tools.cli.main", "sweep", "qa.train.precision=bf16", fails=True
    )
    assert "there are already experiments of that name: precision=bf16; give --replace" in again
    table = project.run("python", "-m", "retune.tools.cli.main", "table")
    assert max(map(len, table.splitlines())) <= 80
    applied = project.run("dvc", "exp", "apply", "precision=bf16")
    assert "pipelines/" not in applied
    assert len(applied.splitlines()) <= 20
    assert "precision: bf16" in (project.folder / "params.yaml").read_text(encoding="utf-8")
    project.run("git", "checkout", ".")
    project.run("dvc", "checkout")


def test_a_sweep_over_seeds_is_folded_and_its_runs_are_kept(project: Project) -> None:
    retune = ("python", "-m", "retune.tools.cli.main")
    output = project.run(
        *retune, "sweep", "qa.model=bert,lstm", "--seeds", "1,2", "--stage", "score"
    )
    assert re.search(r"bert +F1 +2 of 2 ", output)
    assert "seed noise is unknown with fewer than 3 seeds in common" in output
    names = ["bert-seed=1", "bert-seed=2", "lstm-seed=1", "lstm-seed=2"]
    rows = json.loads(project.run(*retune, "table", "--json", *names))
    assert sorted(row["name"] for row in rows) == names
    variants = json.loads(project.run(*retune, "table", "--seeds", "--json", *names))["variants"]
    by_seed = {variant["name"]: variant["metrics"]["qa.f1"]["by_seed"] for variant in variants}
    assert by_seed == {
        model: {row["name"][-1]: row["qa.f1"] for row in sorted(rows, key=lambda row: row["name"])
                if row["qa.model"] == model}
        for model in ("bert", "lstm")
    }  # fmt: skip


def cloned(project: Project, folder: Path) -> Project:
    project.run("git", "clone", "-q", str(project.folder), str(folder))
    clone = object.__new__(Project)
    clone.folder, clone.programs = folder, project.programs
    return clone


def test_a_clone_pulls_what_was_pushed_and_runs_nothing(project: Project, tmp_path: Path) -> None:
    project.run("dvc", "remote", "add", "--default", "shared", str(tmp_path / "remote"))
    project.run("dvc", "push")
    project.commit("a remote")
    clone = cloned(project, tmp_path / "clone")
    pulled = clone.run("dvc", "pull")
    assert "pipelines/" not in pulled
    assert "up to date" in clone.run("dvc", "repro")
    assert clone.predictions() == project.predictions()


def test_two_clones_give_the_same_bytes(project: Project, tmp_path: Path) -> None:
    clone = cloned(project, tmp_path / "clone é")
    for name in ("own", "encoder"):
        assert (clone.folder / name).is_dir()
    clone.repro()
    lock, other = (yaml.safe_load((p.folder / "dvc.lock").read_text()) for p in (project, clone))
    for stage, entry in lock["stages"].items():
        sums = [
            {out["path"]: out["md5"] for out in e["outs"]} for e in (entry, other["stages"][stage])
        ]
        for each in sums:
            each.pop("metrics/qa_times.json", None)  # the times of a run
        assert sums[0] == sums[1], stage
