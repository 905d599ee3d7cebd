"""`retune why` names what differs from the last run; DVC itself says which stages would run."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
import yaml
from dvc.repo import Repo

from retune.core.errors import RetuneError
from retune.tools.cli.main import main
from retune.tools.project.commands import dvc, git
from retune.tools.project.contents import combined, md5_of
from retune.tools.project.locks import Lock
from retune.tools.why.command import overview
from retune.tools.why.history import History
from retune.tools.why.reasons import Graph, Reason, shown
from retune.tools.why.settings import GONE, changes, value_of

DVC_YAML = """\
vars:
  - letters: [a, b]
stages:
  download:
    cmd: mkdir -p data/raw && cp own/numbers.txt data/raw/numbers.txt
    params: [toy.limit, versions.yaml: [torch]]
    deps: [stages/download.py, src/room, own]
    outs: [data/raw]
  train:
    matrix:
      letter: ${letters}
      seed: ${toy.seeds}
    cmd: mkdir -p data/${item.letter} && cp data/raw/numbers.txt data/${item.letter}/${item.seed}
    params: [toy.train, versions.yaml: [torch, numpy]]
    deps: [src/training, data/raw]
    outs: ["data/${item.letter}/${item.seed}"]
  score:
    cmd: cp data/a/1 metrics.json
    deps: [data/a, params.yaml]
    metrics:
      - metrics.json: {cache: false}
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "params.yaml": (
        "toy:\n  limit: 3\n  seeds: [1, 2]\n  train: {lr: 2.0e-4, model: bert, fast: {}}\n"
    ),
    "versions.yaml": "numpy: 2.4.6\ntorch: 2.13.0\n",
    ".dvcignore": "__pycache__/\n.*.partial\n",
    ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
    ".dvc/.gitignore": "/cache\n/tmp\n/config.local\n",
    ".gitignore": "__pycache__/\n",
    "stages/download.py": "print(1)\n",
    "own/numbers.txt": "12\n",
    "src/room/core.py": "1\n",
    "src/training/trainer.py": "1\n",
    "src/training/deep/resume.py": "1\n",
    "src/training/é.py": "1\n",
}
TRAIN = [f"train@{letter}-{seed}" for letter in "ab" for seed in (1, 2)]


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    git(folder, *identity, "commit", "-qm", message, "--allow-empty")
    return git(folder, "log", "-1", "--format=%h")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after a run of all its stages, all of it committed."""
    folder = tmp_path_factory.mktemp("toy")
    write(folder, FILES)
    git(folder, "init", "-q")
    commit(folder, "code")
    dvc(folder, "repro", "-q")
    commit(folder, "lock")
    return folder


@pytest.fixture
def toy(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "toy"
    shutil.copytree(built, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def why(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def call(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["why", *arguments]) == code
        out, err = capsys.readouterr()
        return err if code else out

    return call


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def do(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")

    return do


def add(name: str, text: str = "2\n") -> Callable[[Path], object]:
    return lambda folder: write(folder, {name: text})


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


#: What is done to a project; the stage that is asked for; its reasons, {head} for the commit.
CASES: dict[str, tuple[Callable[[Path], object], str, list[str]]] = {
    "a param": (
        edit("params.yaml", "lr: 2.0e-4", "lr: 1.0e-4"),
        "train@a-1", ["toy.train.lr: 0.0002 -> 0.0001"],
    ),
    "a param that is new": (
        edit("params.yaml", "model: bert", "model: bert, decay: 0.1"),
        "train@a-1", ["toy.train.decay: new, 0.1"],
    ),
    "a param that is gone": (
        edit("params.yaml", ", model: bert", ""),
        "train@a-1", ["toy.train.model: bert -> gone"],
    ),
    "an empty section that got a param": (
        edit("params.yaml", "fast: {}", "fast: {steps: [1, 2]}"),
        "train@a-1", ["toy.train.fast.steps: new, [1, 2]"],
    ),
    "a param of the stage that is newly listed": (
        edit("dvc.yaml", "[toy.limit,", "[toy.limit, toy.seeds,"),
        "download", ["toy.seeds: new, [1, 2]"],
    ),
    "a param that no stage lists": (
        edit("params.yaml", "toy:", "other: 1\ntoy:"),
        "download", [],
    ),
    "a library": (
        edit("versions.yaml", "torch: 2.13.0", "torch: 2.14.0"),
        "download", ["torch 2.13.0 -> 2.14.0"],
    ),
    "modules": (
        lambda folder: [
            edit("src/training/trainer.py", "1", "2")(folder),
            add("src/training/new.py")(folder),
            remove("src/training/deep/resume.py")(folder),
        ],
        "train@a-1",
        ["src/training: trainer.py changed, new.py added, deep/resume.py removed since {head}"],
    ),
    "files that .dvcignore leaves out": (
        lambda folder: [
            add("src/training/__pycache__/trainer.pyc")(folder),
            add("src/training/deep/.x.partial")(folder),
        ],
        "train@a-1", [],
    ),
    "a script": (
        edit("stages/download.py", "1", "2"),
        "download", ["stages/download.py: changed since {head}"],
    ),
    "a script that is missing": (
        remove("stages/download.py"), "download", ["stages/download.py: missing"],
    ),
    "data of one's own": (
        edit("own/numbers.txt", "12", "13"),
        "download", ["own: numbers.txt changed since {head}"],
    ),
    "the command": (
        edit("dvc.yaml", "cp data/a/1 metrics.json", "cp data/a/2 metrics.json"),
        "score", ["command: cp data/a/1 metrics.json -> cp data/a/2 metrics.json"],
    ),
    "a new dep": (
        edit("dvc.yaml", "deps: [stages/download.py,", "deps: [stages/download.py, src/training,"),
        "download", ["src/training: new in its `deps` in dvc.yaml"],
    ),
    "a dep that is no longer listed, which DVC runs nothing for": (
        edit("dvc.yaml", ", src/room, own", ", own"), "download", [],
    ),
    "a new output": (
        edit("dvc.yaml", "outs: [data/raw]", "outs: [data/raw, data/more]"),
        "download", ["data/more: new in its outputs in dvc.yaml"],
    ),
    "a stage that never ran": (
        edit("params.yaml", "seeds: [1, 2]", "seeds: [1, 2, 3]"),
        "train@b-3", ["it has never run: dvc.lock has no entry for it"],
    ),
    "an output in the cache": (
        lambda folder: shutil.rmtree(folder / "data/raw"),
        "download", ["data/raw: missing; `dvc checkout` restores it"],
    ),
    "an output that is in no cache": (
        lambda folder: [shutil.rmtree(folder / p) for p in ("data/raw", ".dvc/cache")],
        "download", ["data/raw: missing, and not in DVC's cache"],
    ),
    "an output that was edited": (
        edit("metrics.json", "12", "13"),
        "score", ["metrics.json: changed since the stage wrote it"],
    ),
    "an earlier stage": (
        edit("stages/download.py", "1", "2"), "train@b-2", ["data/raw: download would run first"],
    ),
    "an earlier stage of an earlier one": (
        edit("stages/download.py", "1", "2"),
        "score", ["data/a: train@a-1, train@a-2 may run first"],
    ),
    "stages that write into a folder": (
        edit("params.yaml", "lr: 2.0e-4", "lr: 1.0e-4"),
        "score",
        [
            "data/a: train@a-1, train@a-2 would run first",
            "params.yaml: changed since {head}",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_reason_is_named_and_dvc_agrees_on_what_would_run(
    case: str, toy: Path, why: Callable[..., str]
) -> None:
    head = git(toy, "log", "-1", "--format=%h", "--", "stages/download.py")
    do, stage, expected = CASES[case]
    do(toy)
    answers = {answer["stage"]: answer for answer in json.loads(why("--json"))}
    texts = [reason["text"] for reason in answers[stage]["reasons"]]
    assert texts == [line.replace("{head}", head) for line in expected]
    with Repo(str(toy)) as repo:
        dvcs = set(repo.status())
    own = {
        name
        for name, answer in answers.items()
        if {reason["kind"] for reason in answer["reasons"]} - {"upstream"}
    }
    if "missing" in "".join(expected):  # DVC's status counts the deps of later stages as well
        assert stage in dvcs & own
    else:
        assert dvcs == own


def test_stages_written_anew_are_named_where_dvc_lock_has_both_sums(
    toy: Path, why: Callable[..., str]
) -> None:
    edit("own/numbers.txt", "12", "13")(toy)
    dvc(toy, "repro", "-q", "--single-item", "download")
    assert why("train@a-1").splitlines() == [
        "train@a-1 would run again:",
        "  data/raw: download has written it again since",
    ]


def test_a_folder_that_stages_write_into_is_compared_by_content(
    toy: Path, why: Callable[..., str]
) -> None:
    add("data/a/3")(toy)
    assert why("score").splitlines()[1:] == ["  data/a: changed since the last run"]


def test_a_plain_name_is_for_all_items_together(toy: Path, why: Callable[..., str]) -> None:
    assert why("train") == "train@a-1, train@a-2, train@b-1, train@b-2 are up to date\n"
    assert why("download") == "download is up to date\n"
    edit("stages/download.py", "1", "2")(toy)
    edit("data/b/1", "12", "13")(toy)
    assert why("train").splitlines() == [
        "train@a-1, train@a-2, train@b-2 may run again:",
        "  data/raw: download would run first",
        "train@b-1 would run again:",
        "  data/raw: download would run first",
        "  data/*/*: changed since the stage wrote it",
    ]


def test_without_a_stage_there_is_a_line_for_each(toy: Path, why: Callable[..., str]) -> None:
    assert why() == "".join(f"{name}: up to date\n" for name in ("download", *TRAIN, "score"))
    edit("params.yaml", "limit: 3\n  seeds: [1, 2]", "limit: 4\n  seeds: [1, 3]")(toy)
    (toy / "metrics.json").unlink()
    assert why().splitlines() == [
        "download: would run again: toy.limit",
        "train@a-1: may run again: data/raw",
        "train@a-3: has never run",
        "train@b-1: may run again: data/raw",
        "train@b-3: has never run",
        "score: would run again: data/a, params.yaml, metrics.json",
    ]


def test_an_output_in_the_cache_runs_no_stage(toy: Path, why: Callable[..., str]) -> None:
    (toy / ".dvc/cache").rename(toy.parent / "elsewhere")
    write(toy, {".dvc/config.local": "[cache]\n    dir = ../../elsewhere\n"})
    shutil.rmtree(toy / "data")
    assert why("download").splitlines() == [
        "download would not run again, but outputs are missing:",
        "  data/raw: missing; `dvc checkout` restores it",
    ]
    assert why().splitlines()[0] == "download: outputs missing: data/raw"
    assert why("score") == "score is up to date\n"


def test_the_newest_commit_with_the_content_of_the_last_run_is_found(
    toy: Path, why: Callable[..., str]
) -> None:
    first = git(toy, "log", "-1", "--format=%h", "--", "src")
    edit("src/training/trainer.py", "1", "2")(toy)
    commit(toy, "an edit")
    assert f"src/training: trainer.py changed since {first}" in why("train@a-1")
    edit("src/training/trainer.py", "2", "1")(toy)
    back = commit(toy, "back again")
    edit("src/training/é.py", "1", "2")(toy)
    commit(toy, "another edit")
    assert f"src/training: é.py changed since {back}" in why("train@a-1")


def test_where_no_commit_has_the_content_the_lock_s_commit_is_compared(
    toy: Path, why: Callable[..., str]
) -> None:
    edit("src/training/trainer.py", "1", "2")(toy)
    dvc(toy, "repro", "-q", "train@a-1")
    edit("src/training/trainer.py", "2", "3")(toy)
    lock = commit(toy, "a lock of code that was never committed")
    edit("src/training/é.py", "1", "2")(toy)
    text = " ".join(why("train@a-1").split())
    assert text == (
        "train@a-1 would run again: src/training: no commit has the files of the last run; é.py "
        f"changed since {lock}, the commit of its sum in dvc.lock"
    )


def test_without_git_the_folder_is_named(toy: Path, why: Callable[..., str]) -> None:
    edit("src/training/trainer.py", "1", "2")(toy)
    shutil.rmtree(toy / ".git")
    expected = "  src/training: changed; git is needed to find the files"
    assert why("train@b-1").splitlines()[1:] == [expected]
    git(toy, "init", "-q")
    expected = "  src/training: changed since the last run; git has no version of it"
    assert why("train@b-1").splitlines()[1:] == [expected]


def test_a_large_folder_is_compared_by_its_size(
    toy: Path, why: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retune.tools.project.contents.LARGEST", 1)
    edit("own/numbers.txt", "12", "13")(toy)
    assert why("download") == "download is up to date\n"
    edit("own/numbers.txt", "13", "131")(toy)
    assert "own: numbers.txt changed" in why("download")


@pytest.mark.parametrize("inside", ["", "own folder"])
def test_it_works_in_subfolders_sisters_and_with_pipeline(
    inside: str, toy: Path, why: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sister = toy / "pipelines/small"
    write(sister, {name: FILES[name] for name in (".dvcignore", ".dvc/config", "params.yaml")})
    write(sister, {"dvc.yaml": DVC_YAML.replace("versions.yaml", "../../versions.yaml")})
    for name in ("src", "stages", "own"):
        (sister / name).symlink_to(f"../../{name}")
    lock = (toy / "dvc.lock").read_text(encoding="utf-8")
    write(sister, {"dvc.lock": lock.replace("versions.yaml", "../../versions.yaml")})
    for folder in (toy, sister):
        (folder / "own folder").mkdir()
    commit(toy, "a sister")
    head = git(toy, "log", "-1", "--format=%h", "--", "src")
    edit("src/training/trainer.py", "1", "2")(toy)
    add("src/training/__pycache__/trainer.pyc")(toy)
    line = f"  src/training: trainer.py changed since {head}"
    monkeypatch.chdir(toy / inside)
    assert why("train@a-1").splitlines()[1:] == [line]
    expected = [line, "  data/raw: download would run first", "  data/a/1: missing, and not"]
    assert why("train@a-1", "--pipeline", "small").splitlines()[1:3] == expected[:2]
    monkeypatch.chdir(sister / inside)
    assert why("train@a-1").splitlines()[1:3] == expected[:2]
    assert expected[2] in why("train@a-1")


def test_an_unknown_stage_is_named_with_the_nearest(toy: Path, why: Callable[..., str]) -> None:
    error = why("downlaod", code=1)
    assert "dvc.yaml: no stage `downlaod`, did you mean `download`?" in error
    assert "(allowed: download, train, score)" in error
    error = why("train@a-12", code=1)
    assert re.search(r"no stage `train@a-12`, did you mean `train@a-[12]`\?", error)
    assert f"(allowed: {', '.join(TRAIN)})" in error


def test_without_a_lock_no_stage_has_run(toy: Path, why: Callable[..., str]) -> None:
    (toy / "dvc.lock").unlink()
    assert why().splitlines()[0] == "download: has never run"
    assert why("download").splitlines()[1:] == [
        "  it has never run: dvc.lock has no entry for it",
    ]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("dvc.lock", "", "dvc.lock: expected `stages:` as DVC writes them"),
        ("dvc.lock", "<<<<<<< HEAD\nstages: {\n", "`git checkout HEAD -- dvc.lock`"),
        ("dvc.lock", "stages: {download: 3}", "dvc.lock: expected `stages:`"),
        ("dvc.yaml", "stages: 3", "dvc.yaml: expected `stages:` with a name for each"),
        ("dvc.yaml", "stages: {train: {cmd: a, deps: 3}}", "not of the form that DVC reads"),
        ("dvc.yaml", "stages: {train: {cmd: '${no}'}}", "${no} is neither in its params.yaml"),
        ("params.yaml", "toy: [", "params.yaml"),
    ],
)
def test_damaged_files_are_sentences(
    file: str, text: str, message: str, toy: Path, why: Callable[..., str]
) -> None:
    write(toy, {file: text})
    lock = toy / "dvc.lock"
    if file == "dvc.yaml":
        lock.write_text("stages: {train: {cmd: a}}", encoding="utf-8")
    assert message in why("train", code=1)


def test_a_params_file_that_is_missing_is_a_sentence(toy: Path, why: Callable[..., str]) -> None:
    (toy / "versions.yaml").unlink()
    assert "versions.yaml: no such file" in why(code=1)


def test_a_stage_that_needs_its_own_output_is_refused(toy: Path) -> None:
    edit("dvc.yaml", "src/room, own]", "src/room, own, metrics.json]")(toy)
    edit("dvc.lock", "    - path: own", "    - path: metrics.json\n      md5: a\n    - path: own")(
        toy
    )
    with pytest.raises(RetuneError, match="stage `download` needs its own output"):
        Graph(toy, None).reasons("download")


def test_sums_are_those_of_dvc(built: Path) -> None:
    stages = yaml.safe_load((built / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    (recorded,) = (d["md5"] for d in stages["train@a-1"]["deps"] if d["path"] == "src/training")
    names = ("trainer.py", "deep/resume.py", "é.py")
    sums = {name: md5_of((built / "src/training" / name).read_bytes()) for name in names}
    assert combined(sums) == recorded
    with History(built) as history:
        (commit_,) = history.commits("src/training")
        assert history.sums(commit_, "src/training", lambda _: False) == sums
        assert history.sums(commit_, "src/none", lambda _: False) == {}
        kept = history.sums(commit_, "src/training", lambda path: path == "src/training/deep/")
        assert set(kept) == {"trainer.py", "é.py"}


def test_history_needs_a_repository(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="not a git repository"):
        History(tmp_path)


def test_values_in_lists_and_whole_files_are_compared() -> None:
    values = {"a": [{"b": 1}, 2], "c": None}
    assert value_of(values, "a.0.b") == value_of(values, "a[0].b") == 1
    assert value_of(values, "a[2]") is GONE
    found = changes(
        lambda path: values, PurePosixPath("folder"),
        [{"../all.yaml": None}, "a[1]"],
        {"../all.yaml": {"a": 1, "d": 5}, "params.yaml": {"a[1]": 3}},
    )  # fmt: skip
    assert list(found) == [
        ("all.yaml", "a", 1, [{"b": 1}, 2]),
        ("all.yaml", "c", GONE, None),
        ("all.yaml", "d", 5, GONE),
        ("folder/params.yaml", "a[1]", 3, 2),
    ]


def test_values_read_as_yaml() -> None:
    texts = ["bert", "1", "true", "", "2.13.0", "a b", None, True, 2e-5, [1, "x"]]
    assert [*map(shown, texts)] == [
        "bert", '"1"', '"true"', '""', "2.13.0", "a b", "null", "true", "2e-05", '[1, "x"]',
    ]  # fmt: skip
    assert shown("word " * 99).endswith("...")
    assert len(shown(list(range(99)))) == 80


def test_an_overview_fits_80_columns() -> None:
    reasons = [Reason("param", f"qa.train.setting_{n}", "") for n in range(9)]
    line = overview("train", "would run again", reasons)
    assert line == ("train: would run again: qa.train.setting_0, qa.train.setting_1 and 7 more")


def test_it_starts_without_heavy_libraries(toy: Path) -> None:
    code = (
        "import sys; from retune.tools.cli.main import main; main(['why']);"
        "print(sorted({'torch', 'dvc', 'pydantic', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=toy, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("folder", [".", "pipelines/sentiment", "pipelines/adapters"])
def test_stages_of_the_project_are_named_as_dvc_names_them(folder: str, root: Path) -> None:
    found = Graph(root / folder, None)
    locked = Lock(root / folder, "").stages
    assert set(found.stages) == set(locked)
    commands = {name: stage.body["cmd"] for name, stage in found.stages.items()}
    assert commands == {name: entry["cmd"] for name, entry in locked.items()}
    assert not [name for name in locked if re.search(r"\$", str(found.stages[name].body))]
