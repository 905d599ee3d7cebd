"""Commands in a sister pipeline's folder, and on what belongs to one."""

import itertools
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from retune.core.errors import RetuneError
from retune.core.manifests import seal
from retune.tools.cli.main import main
from retune.tools.experiments import listing
from retune.tools.experiments.table import APART
from retune.tools.project.graph import read_pipeline
from retune.tools.project.locks import Lock
from retune.tools.report.sister_experiments import fold_seeds, read_results

SISTER = Path("pipelines/toy")
GRAPH = """
vars: [{names: [plain, fancy]}]
stages:
  download: {cmd: x, metrics: [metrics/found.json: {cache: false}]}
  entities: {cmd: x, metrics: [metrics/entities.json: {cache: false}]}
  score:
    foreach: ${names}
    do: {cmd: x, metrics: ["metrics/${key}/scores.json": {cache: false}]}
"""
Experiment = Callable[..., None]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def write(top: Path, files: Mapping[str, Any]) -> None:
    for name, value in files.items():
        path = top / SISTER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def split(sha256: str) -> dict[str, Any]:
    row = {"split": "validation", "rows": 4, "limit": 4, "files": [{"name": "v"}]}
    row["files"] = [{"name": "v", "sha256": sha256}]
    return {"toy": {"download": [row]}}


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a sister whose metrics are committed; we are in the sister's folder."""
    for folder in (tmp_path, tmp_path / SISTER):
        (folder / ".dvc").mkdir(parents=True)
    write(tmp_path, {
        "dvc.yaml": GRAPH, "params.yaml": {"toy": {"seed": 0, "lr": 1}},
        "metrics/found.json": split("0123456789"), "metrics/entities.json": {"toy": {"f1": 1.0}},
        "metrics/plain/scores.json": {"toy": {"accuracy": 50.0, "details": [{"rows": 4}]}},
        "metrics/fancy/scores.json": {"toy": {"accuracy": 60.0, "f1": 61.0}},
    })  # fmt: skip
    (tmp_path / "params.yaml").write_text("qa: {seed: 1}\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    monkeypatch.chdir(tmp_path / SISTER)
    monkeypatch.setattr(listing, "unfinished", list)
    return tmp_path


@pytest.fixture
def experiment(top: Path) -> Experiment:
    """A function that makes an experiment: its name, its params, the files that it changes."""
    base = git(top, "rev-parse", "HEAD")

    def make(name: str, params: Mapping[str, Any], files: Mapping[str, Any]) -> None:
        write(top, {"params.yaml": {"toy": {"seed": 0, "lr": 1, **params}}, **files})
        git(top, "commit", "-qam", name, "--allow-empty")
        git(top, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", "HEAD")
        git(top, "reset", "-q", "--hard", base)

    return make


def scores(accuracy: float) -> dict[str, Any]:
    return {"toy": {"accuracy": accuracy, "details": [{"rows": 4}]}}


def test_v60_a_sister_shows_its_own_experiments_with_its_own_headlines(
    top: Path, experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment("both", {"lr": 2}, {
        "metrics/plain/scores.json": scores(52.0), "metrics/entities.json": {"toy": {"f1": 3.0}},
        "metrics/fancy/scores.json": {"toy": {"accuracy": 62.0, "f1": 63.5}},
    })  # fmt: skip
    experiment("one", {"lr": 3}, {"metrics/plain/scores.json": scores(53.0)})
    experiment("none", {"lr": 4}, {})
    assert main(["table", "--experiments"]) == 0
    printed = capsys.readouterr()
    assert [line.split() for line in printed.out.splitlines()] == [
        ["method", "experiment", "accuracy", "F1"],
        ["plain", "both", "52.00", "-"],
        ["plain", "one", "53.00", "-"],
        ["fancy", "both", "62.00", "63.50"],
        ["stage", "experiment", "F1"],
        ["entities", "both", "3.00"],
    ]
    assert printed.err == "note: experiment none: no figure differs from the commit's\n"
    assert main(["table", "one", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {
        "name": "one", "state": None, "method": "plain", "accuracy": 53.0,
        "data": "4 validation rows (v 01234567), limit 4",
    }  # fmt: skip
    assert main(["table", "two"]) == 1
    assert "no experiment two on this commit; there are: both, none, one" in capsys.readouterr().err


def test_v60_the_same_by_name_from_the_top(
    top: Path, experiment: Experiment, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    experiment("one", {"lr": 3}, {"metrics/plain/scores.json": scores(53.0)})
    monkeypatch.chdir(top)
    assert main(["table", "--pipeline", "toy", "--experiments"]) == 0
    assert "plain   one            53.00" in capsys.readouterr().out
    monkeypatch.chdir(top / SISTER / "metrics")
    assert main(["table", "--pipeline", "none"]) == 1
    assert "no such pipeline; there are: toy" in capsys.readouterr().err


def test_v60_what_has_not_ended_has_a_state_and_no_figures(
    top: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    head = git(top, "rev-parse", "HEAD")
    states = {"slow": "running", "late": "queued"}
    refs = [listing.Ref(name, head, head, state) for name, state in states.items()]
    monkeypatch.setattr(listing, "unfinished", lambda: refs)
    assert main(["table", "slow"]) == 0
    assert capsys.readouterr().out.split() == ["experiment", "state", "slow", "running"]
    assert main(["table", "--experiments", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1] == {"name": "late", "state": "queued"}


def test_v60_other_validation_data_of_a_sister_are_a_table_of_their_own(
    top: Path, experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment("same", {"lr": 2}, {"metrics/plain/scores.json": scores(52.0)})
    changed = {"metrics/plain/scores.json": scores(99.0), "metrics/found.json": split("fedcba98")}
    experiment("other", {"lr": 3}, changed)
    assert main(["table", "--experiments"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert APART in printed
    assert (
        "4 validation rows (v fedcba98), limit 4 method experiment accuracy plain other" in printed
    )


def test_v61_seeds_of_a_sister_are_folded_by_variant(
    top: Path, experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, accuracy in ((1, 50.5), (2, 52.5), (3, 54.5)):
        files = {
            "metrics/plain/scores.json": scores(accuracy),
            "metrics/fancy/scores.json": {"toy": {"accuracy": accuracy + 1, "f1": 9.0}},
        }
        experiment(f"a-seed={seed}", {"seed": seed}, files)
    assert main(["table", "--seeds", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    plain, fancy = read["variants"]
    assert (plain["name"], plain["variant"], plain["seeds"]) == ("a plain", "plain", [1, 2, 3])
    assert plain["metrics"]["accuracy"]["mean"] == 52.5
    assert plain["metrics"]["accuracy"]["std"] == 2.0
    (gap,) = read["gaps"]
    assert (gap["key"], gap["better"], gap["worse"], gap["mean"]) == (
        "accuracy", fancy["name"], "a plain", 1.0
    )  # fmt: skip
    assert main(["table", "--seeds"]) == 0
    assert "a plain  accuracy      3  52.50  2.00  50.50  54.50" in capsys.readouterr().out


def test_v61_without_one_seed_there_is_nothing_to_fold(
    top: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(top, {"params.yaml": {"toy": {"seeds": [1, 2], "lr": 1}}})
    for command in (["table"], ["sweep", "toy.lr=2"]):
        words = ["--seeds", *(["1,2"] if command[0] == "sweep" else [])]
        assert main([*command, *words]) == 1
        error = capsys.readouterr().err
        assert "--seeds: every run trains with each of `toy.seeds` in params.yaml" in error
        assert "leave out --seeds, or give 'toy.seeds=[1,2,3]'" in error
    write(top, {"params.yaml": {"toy": {"lr": 1}}})
    assert main(["table", "--seeds"]) == 1
    assert "params.yaml: there is no seed; leave out --seeds" in capsys.readouterr().err


def test_v60_an_experiment_that_cannot_be_read_is_named_and_the_others_shown(
    top: Path, experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment("torn", {"lr": 2}, {"metrics/plain/scores.json": "{"})
    experiment("whole", {"lr": 3}, {"metrics/plain/scores.json": scores(53.0)})
    assert main(["table", "--experiments"]) == 0
    printed = capsys.readouterr()
    assert printed.out.split()[3:] == ["plain", "whole", "53.00"]
    assert "note: experiment torn cannot be read: pipelines/toy/metrics/plain/sc" in printed.err
    gone = listing.Ref("gone", "0" * 40, git(top, "rev-parse", "HEAD"))
    results, (note,) = read_results(top, SISTER, [gone])
    assert results == []
    assert note.startswith("experiment gone cannot be read: git diff --name-only ")
    assert fold_seeds([], "toy.seed") == []


@pytest.mark.parametrize("words", [["who?"], ["--data", "x.json", "--out", "out"]])
def test_v62_a_model_in_the_folder_of_another_variant_is_not_asked(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "data/one/runs/1/model"
    model.mkdir(parents=True)
    seal(model, {"inputs": {}, "params": {"qa.model": "bert", "qa.squad_v2": False}})
    params = tmp_path / "params.yaml"
    params.write_text("qa: {model: bert}\nvariants: {one: {}, two: {train: {epochs: 2}}}\n")
    command = ["ask", "--model", str(model), "--params", str(params), *words]
    assert main([*command, "--variant", "two"]) == 1
    error = capsys.readouterr().err
    assert f"--variant two: the model in {model} was trained as one; name that variant's" in error
    assert main([*command, "--variant", "one"]) == 1
    assert "trained as" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        pytest.param(
            "\n".join(["a: &a [x]", *(f"{n}: &{n} [{', '.join([f'*{m}'] * 9)}]" for m, n in
                      itertools.pairwise("abcdefghijkl")), "stages: *l"]),
            r"dvc.lock: it has an alias \(`\*name`\), which DVC never writes; `git checkout HEAD",
            id="V64 aliases that stand for billions",
        ),
        pytest.param("a: &a [*a]\nstages: {}", "it has an alias", id="V64 a loop of aliases"),
        pytest.param("stages: " + "[" * 5000, "dvc.lock: .*git checkout", id="V64 nested deeply"),
    ],
)  # fmt: skip
def test_a_lock_that_would_fill_the_memory_is_refused(lock: str, message: str, top: Path) -> None:
    write(top, {"dvc.lock": lock})
    pipeline = read_pipeline(top, "toy", SISTER.as_posix())
    with pytest.raises(RetuneError, match=message):
        print(Lock(top, pipeline.folder).stages)


@pytest.mark.parametrize("folder", [".", "metrics", "pipelines/toy", "pipelines/toy/metrics"])
def test_v63_the_project_is_examined_from_any_of_its_folders(
    folder: str, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "metrics").mkdir()
    monkeypatch.chdir(top / folder)
    seen: list[Path] = []
    monkeypatch.setattr(
        "retune.tools.machine_doctor.command.run", lambda _: seen.append(Path.cwd()) or 0
    )
    assert main(["doctor", "--env"]) == 0
    assert seen == [top]
