"""Sweeps that would run something else than was asked for, and params that stages refuse."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from networkx import descendants
from planted_experiments import SCORED, plant

from retune.core.errors import RetuneError
from retune.core.files import read_json
from retune.preflight.validation import read_params, require_valid
from retune.tools.cli.main import main
from retune.tools.experiments import leftovers, listing
from retune.tools.experiments.effects import require_effects
from retune.tools.experiments.experiments import Experiment
from retune.tools.experiments.grid import grid, python_value
from retune.tools.experiments.listing import experiment_rows
from retune.tools.experiments.table import APART, render
from retune.tools.verify.compare import Run, compare
from stages import check

ROOT = Path(__file__).resolve().parents[2]
GRAPHS = [ROOT, *sorted(path.parent for path in ROOT.glob("pipelines/*/dvc.yaml"))]


@pytest.fixture(autouse=True)
def _top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    "assignments",
    [
        pytest.param(["qa.model=bert", "qa.model=lstm"], id="P31 a key given twice"),
        pytest.param(["qa.model=bert", " qa.model = bert"], id="P31 twice with blanks"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(assignments: list[str]) -> None:
    with pytest.raises(RetuneError, match=r"qa.model is given 2 times: qa.model=bert, "):
        grid(assignments)


@pytest.mark.parametrize(
    ("assignment", "values"),
    [
        pytest.param("k.targets=[query,key]", [["query", "key"]], id="P32 a list is one value"),
        pytest.param("k.targets=[q],[q,v]", [["q"], ["q", "v"]], id="P32 two lists"),
        pytest.param("k.folder='a,b'", ["a,b"], id="P32 a comma in quotes"),
        pytest.param("k.folder='a b',c", ["a b", "c"], id="P32 quotes beside a plain text"),
        pytest.param("k.part={x:1,y:null}", [{"x": 1, "y": None}], id="P32 a mapping"),
        pytest.param("k.epochs=range(1,4)", [1, 2, 3], id="P32 Hydra's range"),
        pytest.param("k.lr=1e-4,3e-4", [1e-4, 3e-4], id="P32 numbers"),
    ],
)
def test_values_are_those_of_dvc(assignment: str, values: list[Any], tmp_path: Path) -> None:
    from dvc.utils.hydra import apply_overrides

    points = grid([assignment])
    key = assignment.partition("=")[0]
    assert [python_value(point.changes[key]) for point in points] == values
    for point, value in zip(points, values, strict=True):
        (tmp_path / "params.yaml").write_text(f"k: {{{key[2:]}: 0}}\n", encoding="utf-8")
        apply_overrides(tmp_path / "params.yaml", point.overrides())
        from retune.core.params import load_yaml

        assert load_yaml(tmp_path / "params.yaml")["k"][key[2:]] == value
    assert len({point.name for point in points}) == len(points)
    assert "," not in "".join(point.name for point in points)


def test_p32_what_cannot_be_parsed_is_refused() -> None:
    with pytest.raises(RetuneError, match=r"token recognition error .* put quotes around text"):
        grid(["qa.download.train_limit=it's"])


SENTIMENT, QA = "pipelines/sentiment", "."


@pytest.mark.parametrize(
    ("folder", "assignment", "message"),
    [
        pytest.param(
            SENTIMENT, "sentiment.model=lstm",
            r"sentiment.model has no effect: the variants have .* give one of variants.bag_of_emb",
            id="P33 every variant overrides the key",
        ),
        pytest.param(
            QA, "qa.models.lstm.hidden_size=4",
            "qa.models.lstm.hidden_size has no effect: qa.model is bert; give qa.model=lstm with",
            id="P33 a key of another model",
        ),
        pytest.param(
            QA, "qa.datasets.files.train=[]", "no effect: qa.dataset is bundled; give qa.dataset=f",
            id="P33 a key of another data set",
        ),
        pytest.param(
            QA, "qa.model=lst", r"experiment lst: params.yaml: qa.model: no 'lst'; .* `lstm`\?",
            id="P34 an unknown model",
        ),
        pytest.param(
            QA, "qa.dataset=bundeld", r"qa.dataset: no 'bundeld'; .* did you mean `bundled`\?",
            id="P34 an unknown data set",
        ),
        pytest.param(
            QA, "qa.train.lr=abc", "qa.train.lr: input should be a valid number; got 'abc'",
            id="P34 a value of another type",
        ),
        pytest.param(
            QA, "qa.sede=1", r"params.yaml: qa.sede: unknown key, did you mean `qa.seed`\?",
            id="P35 an unknown key",
        ),
        pytest.param(
            QA, "model=lstm", r"params.yaml: model: unknown key, did you mean `qa.model`\?",
            id="P35 a key without its section",
        ),
    ],
)  # fmt: skip
def test_a_sweep_that_cannot_do_what_it_says_does_not_begin(
    folder: str, assignment: str, message: str
) -> None:
    with pytest.raises(RetuneError, match=message):
        require_effects(Path(folder), grid([assignment]))


def test_p33_where_some_variants_override_a_key_they_are_named() -> None:
    points = grid(["sentiment.train.epochs=9"])
    (note,) = require_effects(Path(SENTIMENT), points)
    assert note.startswith("sentiment.train.epochs does not change every variant: variants.bag_of")
    assert "variants.lstm.train.epochs" in note
    assert "variants.bert" not in note
    assert require_effects(Path(SENTIMENT), points, ["score@bert"]) == []
    with pytest.raises(RetuneError, match=r"give variants.lstm.train.epochs$"):
        require_effects(Path(SENTIMENT), points, ["train@lstm-1234"])
    assert require_effects(Path(SENTIMENT), grid(["variants.lstm.train.epochs=9"])) == []
    with pytest.raises(RetuneError, match=r"variants.lstm.predict: unknown key"):
        require_effects(Path(SENTIMENT), grid(["variants.lstm.predict=9"]))


def test_p33_a_key_that_no_stage_reads_has_no_effect(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("qa: {seed: 1, download: {train_limit: 1}}\n")
    graph = {"stages": {"one": {"cmd": "exec python -m stages.qa.score", "wdir": str(ROOT)}}}
    (tmp_path / "dvc.yaml").write_text(json.dumps(graph))
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RetuneError, match=r"qa.seed has no effect: no stage that runs reads it"):
        require_effects(tmp_path, grid(["qa.seed=1"]))


def test_p34_changes_that_dvc_refuses_are_refused() -> None:
    with pytest.raises(RetuneError, match=r"experiment odd: .*typo"):
        require_effects(ROOT, [Experiment("odd", {"qa.train.typo": 1})])


def project(folder: Path, **changes: str) -> Path:
    """A DVC project with the stages of question answering, and a changed params.yaml."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert f"{old}:" in text
        text = text.replace(f"{old}:", f"{new}:", 1)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    graph = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    (folder / "dvc.yaml").write_text(graph, encoding="utf-8")
    (folder / ".dvc").mkdir()
    return folder


def test_p36_all_problems_of_all_stages_come_before_any_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.chdir(project(tmp_path, doc_stride="doc_strid", null_threshold="null_treshold"))
    assert main(["check"]) == 1
    error = capsys.readouterr().err
    assert "params.yaml: qa.tokenize.doc_strid: unknown key, did you mean `doc_stride`" in error
    assert "qa.train.evaluation.null_treshold: unknown key" in error
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert main(["check"]) == 1
    assert re.search(
        "params.yaml: qa.datasets.files.folder: there is no 'src/retune/corpora/.*'; name a folder",
        capsys.readouterr().err,
    )
    (tmp_path / "src/retune/corpora/encyclopaedia").mkdir(parents=True)
    assert main(["check"]) == 0
    assert "params.yaml: valid (12 combinations of stage" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc.*")
@pytest.mark.parametrize("folder", GRAPHS, ids=lambda folder: f"P36 {folder.name}")
def test_every_graph_begins_with_the_check_of_its_params(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert "params.yaml: valid (" in check.main(tmp_path / "checked.json")
    assert read_json(tmp_path / "checked.json") == {"params.yaml": "valid"}
    with Repo(str(folder)) as repo:
        graph = repo.index.graph  # from each stage to those that it needs
        for stage in graph:
            assert "check" in {each.name for each in (stage, *descendants(graph, stage))}


def test_p36_where_there_are_no_stages_nothing_is_valid(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="no stages to check; run this in a DVC project"):
        require_valid(tmp_path)


@pytest.mark.parametrize("name", ["", *(f"pipelines/{n}" for n in ("sentiment", "adapters"))])
def test_p36_every_stage_is_read_and_none_does_more(name: str) -> None:
    readings = read_params(ROOT / name)
    assert len(readings) >= 6
    assert all(reading.sections and not reading.problems for reading in readings)


def test_p36_no_stage_is_run_to_read_its_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stages

    monkeypatch.setattr(stages, "__path__", [*stages.__path__, str(tmp_path)])
    (tmp_path / "eager.py").write_text(
        "from typing import Annotated\n"
        "def main(a, *, seed: Annotated[int, 'qa.seed']):\n    raise SystemExit('worked')\n"
    )
    (tmp_path / "bare.py").write_text("main = 3\n")
    commands = {name: {"cmd": f"python -m stages.{name}"} for name in ("eager", "bare", "absent")}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": commands}))
    (tmp_path / "params.yaml").write_text("qa: {seed: 1}\n")
    eager, absent = read_params(tmp_path)
    assert (eager.sections, eager.problems) == ({"qa.seed": 1}, ())
    assert absent.problems == ("dvc.yaml: stages.absent: No module named 'stages.absent'",)


def shown(name: str, f1: Any, **more: Any) -> dict[str, Any]:
    row = {
        "name": name, "qa.model": "bert", "qa.seed": 1, "qa.f1": f1,
        "qa.exact_match": f1, "qa.dataset": "files", "qa.datasets.files.folder": "own",
        "qa.download.test_limit": None, "qa.score.normalizer": "squad", "qa.squad_v2": False,
    }  # fmt: skip
    return row | more


def test_v31_runs_on_other_validation_data_are_not_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"qa.download.test_limit": "sample 5", "qa.download.sample_seed": 7}
    rows = [
        shown("all", 40.0), shown("few", 90.0, **few), shown("plain", 50.0, **{
            "qa.score.normalizer": "plain"}), shown("v2", 60.0, **{"qa.squad_v2": True}),
        shown("also", 41.0, **{"qa.model": "lstm"}),
    ]  # fmt: skip
    plant(monkeypatch, rows)
    found = experiment_rows()
    assert [row["name"] for row in found] == ["also", "all", "few", "plain", "v2"]
    assert len({row["data"] for row in found}) == 4
    render(found, as_json=False)
    printed = " ".join(capsys.readouterr().out.split())
    assert APART in printed
    assert "folder own, limit sample 5, seed 7, normalizer squad" in printed
    render(found[:2], as_json=False)
    assert APART not in capsys.readouterr().out
    assert main(["table", "--seeds"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert APART in printed
    assert "fewer than 3 seeds in common: also over all" in printed
    assert "few over" not in printed


def test_v32_a_run_that_has_not_ended_has_no_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [shown("now", 99.0, state="running"), shown("torn", "!"), shown("done", 1.0)]
    plant(monkeypatch, rows)
    found = experiment_rows()
    assert [(row["name"], row["state"], row["qa.f1"]) for row in found] == [
        ("done", None, 1.0), ("torn", None, None), ("now", "running", None),
    ]  # fmt: skip
    render(found, as_json=False)
    assert "now         bert   running     -     -" in capsys.readouterr().out
    render([*found, found[0] | {"data": "other"}], as_json=False)
    assert "now" in capsys.readouterr().out.splitlines()[-1]


def test_v33_what_is_left_of_a_killed_experiment_is_told_once_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy, note = tmp_path / ".dvc/tmp/exps/standalone/x", tmp_path / ".dvc/tmp/exps/run/1"
    copy.mkdir(parents=True)
    note.mkdir(parents=True)
    info = {"name": "slow", "root_dir": str(copy), "status": 2}
    (note / "1.run").write_text(json.dumps(info))
    (tmp_path / ".dvc/tmp/exps/run/2").mkdir()
    (tmp_path / ".dvc/tmp/exps/run/2/2.run").write_text("torn")
    plant(monkeypatch, [shown("slow", 99.0, state="running")])
    with subprocess.Popen(["sleep", "60"], cwd=copy) as process:
        assert leftovers.killed(tmp_path) == []
        assert [row["state"] for row in experiment_rows()] == ["running"]
        process.kill()
    starting = [(tmp_path, ["python", "-m", "dvc", "exp", "run"])]
    with monkeypatch.context() as patched:
        patched.setattr(leftovers, "_processes", lambda: starting)
        assert leftovers.killed(tmp_path) == []
    assert leftovers.killed(tmp_path, "other") == []
    leftovers.remove_killed(tmp_path, "other", seconds=0)
    assert copy.exists()
    assert [row["state"] for row in experiment_rows()] == ["killed"]
    assert not copy.exists()
    assert not note.exists()


def test_v33_what_dvc_keeps_of_its_queue_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "t")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "t@example.org")
    (tmp_path / "params.yaml").write_text("qa: {model: bert, seed: 1}\n")
    stage = {"cmd": "echo", "params": ["qa.model"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"one": stage}}))
    git(tmp_path, "init", "--quiet")
    with Repo.init(str(tmp_path)) as repo:
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", "one")
        assert not leftovers.may_be_unfinished(tmp_path)
        assert experiment_rows() == []
        repo.experiments.run(queue=True, params=["qa.model=lstm"], name="late")
    (row,) = experiment_rows()
    assert (row["name"], row["state"], row["qa.model"]) == ("late", "queued", "lstm")
    git(tmp_path, "commit", "--allow-empty", "-qm", "next")
    assert experiment_rows() == []
    assert [row["name"] for row in experiment_rows(all_commits=True)] == ["late"]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits, with an experiment of this pipeline and one of a sister on the first."""
    files = ["params.yaml", "pipelines/small/params.yaml", "metrics/qa_download.json"]
    figures = {"metrics/qa.json": 1.0, "pipelines/small/metrics/qa.json": 9.0}
    for name in (*files, *figures):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}\n")
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": SCORED}))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    base = git(tmp_path, "rev-parse", "HEAD")
    split = {
        "split": "validation",
        "questions": 5,
        "files": [{"name": "v", "sha256": "0123456789"}],
    }
    (tmp_path / files[2]).write_text(json.dumps({"qa": {"download": [split | {"limit": 5}]}}))
    for name, f1 in figures.items():
        (tmp_path / name).write_text(json.dumps({"qa": {"f1": f1}}))
    params = {"dataset": "files", "score": {"normalizer": "squad"}, "squad_v2": False}
    for name, file in (("mine", files[0]), ("theirs", files[1])):
        (tmp_path / file).write_text(json.dumps({"qa": {"model": name, **params}}))
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", name)
        git(tmp_path, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", "HEAD")
        git(tmp_path, "reset", "-q", "--soft", base)
        git(tmp_path, "reset", "-q", "--", files[0], files[1])
        (tmp_path / file).write_text("{}\n")
    git(tmp_path, "checkout", "-q", "-f", base)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_v34_experiments_of_a_sister_are_not_of_this_pipeline(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listing, "_known_to_dvc", list)
    (row,) = experiment_rows()
    assert (row["name"], row["qa.model"], row["qa.f1"]) == ("mine", "mine", 1.0)
    assert row["data"].startswith("5 questions of files (v 01234567), limit 5, normalizer squad")
    base = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "--allow-empty", "-qm", "next")
    assert main(["table", "--experiments"]) == 0
    where = f"no experiments on this commit; on earlier commits: 1 on commit {base[:7]}. Add --all"
    assert where in capsys.readouterr().err
    with pytest.raises(RetuneError, match=r"no experiment mine on this commit; .* --all-commits"):
        experiment_rows(["mine"])
    assert experiment_rows(all_commits=True) == [row]


def run_of(f1: float, machine: str) -> Run:
    outs = [{"path": "model", "md5": machine}, {"path": "costs.json", "md5": machine}]
    figures = {"costs.json": {"qa": {"f1": f1, "environment": [machine]}}}
    return Run({"train": {"outs": outs}}, figures)


def test_v35_on_another_machine_it_says_what_was_not_compared_and_the_tolerance() -> None:
    found = compare(run_of(40.0, "a"), run_of(38.4, "b"), {"f1": 4.0})
    assert found.conclusion == (
        "0 of 2 the same; costs.json within tolerance (at most f1 4 apart); not compared: model; "
        "nothing differs more than claims.yaml allows"
    )
    assert compare(run_of(40.0, "a"), run_of(40.0, "a"), {}).conclusion == "nothing differs"
    assert compare(run_of(40.0, "a"), run_of(30.0, "b"), {}).conclusion == "1 of 2 differ"
