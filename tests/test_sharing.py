"""Runs, models and experiments, shared through a git server and a DVC remote: docs/sharing.md."""

import os
import subprocess
from pathlib import Path
from typing import Any

import forks
import pytest
import yaml
from graph import paths

from retune.tools.project.graph import read_stages

ROOT = Path(__file__).resolve().parent.parent
SISTER = "pipelines/sentiment"
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("pipelines/*/dvc.yaml"))]
#: What the stage of the tiny pipelines writes in place of a model.
MODEL = "model.safetensors"


def artifacts(folder: Path) -> dict[str, dict[str, Any]]:
    """The named models of a pipeline, as its dvc.yaml has them."""
    named = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    return dict(named)


class Clone:
    """A colleague's clone of a repository."""

    def __init__(self, hub: Path, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "-q", hub, folder], check=True, capture_output=True)

    def run(self, *command: str, inside: str = ".") -> str:
        """Run a command in a folder of the clone and return all that it printed."""
        names = {f"GIT_{who}_NAME": self.folder.name for who in ("AUTHOR", "COMMITTER")}
        mails = {f"GIT_{who}_EMAIL": "t@example.org" for who in ("AUTHOR", "COMMITTER")}
        done = subprocess.run(
            command, cwd=self.folder / inside, capture_output=True, text=True, check=False,
            env=os.environ | forks.environment(forks.commands()) | names | mails,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dvc(self, *words: str, inside: str = ".") -> str:
        return self.run("dvc", *words, inside=inside)

    def write_pipeline(self, inside: str, model: str) -> None:
        """Write a pipeline with the names of the real one, and one stage that writes `model`."""
        folder = self.folder / inside
        (folder / ".dvc").mkdir(parents=True)
        (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
        (folder / ".dvc/config").write_text("")
        (folder / "params.yaml").write_text("lr: 1\nsentiment: {seeds: [1234, 2341]}\n")
        (folder / ".gitignore").write_text("data/\n")
        train = f"mkdir -p {model} && grep lr params.yaml > {model}/{MODEL}"
        stage = {
            "cmd": f"{train} && cp params.yaml kept",
            "params": ["lr"],
            "outs": [model],
            "metrics": [{"kept": {"cache": False}}],
        }
        named = {"artifacts": artifacts(ROOT / inside), "stages": {"train": stage}}
        (folder / "dvc.yaml").write_text(yaml.safe_dump(named))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with a run of two pipelines, whose models have tags and are in a remote."""
    place = tmp_path_factory.mktemp("team")
    hub = place / "hub.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", hub], check=True)
    author = Clone(hub, place / "author")
    for inside, model in ((".", "data/qa/model"), (SISTER, "data/bert/runs/1234/model")):
        author.write_pipeline(inside, model)
        author.dvc("remote", "add", "--default", "team", str(place / "remote"), inside=inside)
        author.dvc("repro", "--quiet", inside=inside)
        author.dvc("push", inside=inside)
    author.run("git", "checkout", "-q", "-b", "main")
    author.run("git", "add", "-A")
    author.run("git", "commit", "-qm", "run")
    for tag in ("qa-reader@v1.0.0", f"{SISTER}=bert@v1.0.0"):
        author.run("git", "tag", "-a", tag, "-m", "a good model")
    author.run("git", "push", "-q", "--follow-tags", "-u", "origin", "main")
    return hub


def test_a_fresh_clone_pulls_the_run_in_place_of_training(hub: Path, tmp_path: Path) -> None:
    clone = Clone(hub, tmp_path / "colleague")
    clone.dvc("pull")
    assert (clone.folder / "data/qa/model" / MODEL).read_text() == "lr: 1\n"
    assert "Stage 'train' didn't change, skipping" in clone.dvc("repro")


@pytest.mark.parametrize("name", ["qa-reader", f"{SISTER}:bert"])
def test_a_model_is_had_by_its_name_and_version(name: str, hub: Path, tmp_path: Path) -> None:
    clone = Clone(hub, tmp_path / "user")
    printed = clone.dvc("artifacts", "get", str(hub), name, "--rev", "v1.0.0", "--out", "got")
    assert "Downloaded 1 file(s) to 'got'" in printed
    assert (clone.folder / "got" / MODEL).read_text() == "lr: 1\n"


def test_an_experiment_is_pushed_to_a_bare_repository_and_pulled(hub: Path, tmp_path: Path) -> None:
    author, colleague = (Clone(hub, tmp_path / name) for name in ("author", "colleague"))
    author.dvc("exp", "run", "--name", "faster", "-S", "lr=2")
    author.dvc("exp", "push", "origin", "faster")
    assert "faster" in colleague.dvc("exp", "list", "origin")
    colleague.dvc("exp", "pull", "origin", "faster")
    colleague.dvc("exp", "apply", "faster")
    assert (colleague.folder / "data/qa/model" / MODEL).read_text() == "lr: 2\n"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_trained_model_has_a_name(folder: Path) -> None:
    stages = read_stages(folder)
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    seed = str(params.get("sentiment", {}).get("seeds", [None])[0])
    trained = {
        path
        for target, stage in stages.items()
        if target.partition("@")[0] in {"train", "language", "entities"}
        for path in paths(stage, "outs")
        if "runs" not in path or seed in path.split("/")
    }
    named = artifacts(folder)
    found = [entry["path"].replace("${sentiment.seeds[0]}", seed) for entry in named.values()]
    assert sorted(found) == sorted(trained), "name each model in `artifacts` of dvc.yaml"
    assert {entry["type"] for entry in named.values()} == {"model"}
    assert all(entry["desc"] and entry["labels"] for entry in named.values())
