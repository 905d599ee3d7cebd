"""A copy of the project on a tiny corpus with a tiny encoder, and a way to run things in it."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import forks
import psutil
import tiny
import yaml

from retune.tasks.qa.questions.splits import SPLITS

ROOT = Path(__file__).resolve().parent.parent
#: Results, and folders that no stage and no command reads.
UNUSED = re.compile(r"((pipelines/\w+/)?metrics|bench|docs|tests)/|(.*/)?dvc\.lock$")
SIZES: dict[str, dict[str, Any]] = {
    "bert": {"dropout": 0.0},
    "bert_adapter": {"reduction": 4},
    "bert_adapter_fusion": {
        "adapters": [{"path": f"adapters/{name}", "sha256": None} for name in ("qa", "entities")]
    },
    "bert_lora": {"rank": 2},
    "lstm": {"embedding_size": 16, "hidden_size": 16},
    "transformer": {"embedding_size": 16, "attention_heads": 2, "feed_forward_size": 32},
    "bilstm_attention": {"hidden_size": 16},
    "transformer_encoder": {"hidden_size": 16, "layers": 1, "feed_forward_size": 32},
}


class Project:
    """A copy of the project in a repository of its own, set to the tiny corpus.

    If `forked`, its stages and DVC run in processes that hold their libraries already: `programs`
    is the folder of the commands for that. Without `whole`, the stages that explain a run are left
    out, because each start of a stage takes time.
    """

    def __init__(self, folder: Path, *, forked: bool = False, whole: bool = False) -> None:
        self.folder, self.programs = folder, forks.commands() if forked else forks.REAL
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for name in filter(None, listing.split("\0")):
            there = (ROOT / name).is_file() or (ROOT / name).is_symlink()
            if there and not UNUSED.match(name):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
        (folder / "metrics").mkdir()
        self._write_params()
        if not whole:
            self._leave_out("perturb", "calibrate", "confidence")
        self.run("git", "init", "-q")
        self.commit("start")

    def _write_params(self) -> None:
        tiny.write_data(self.folder / "own", impossible=True)
        revision = tiny.write_checkpoint(self.folder / "encoder")
        for name in ("qa", "entities"):
            tiny.write_bundle(self.folder / "adapters" / name, self.folder / "encoder", name)
        files = {split: [{"path": f"{split}.json", "sha256": None}] for split in SPLITS}
        with self.params() as qa:
            qa["dataset"] = "files"
            qa["datasets"]["files"] = files | {"folder": "own"}
            qa["checkpoint"] = {"name": "./encoder", "revision": revision}
            qa["tokenize"] |= {"max_length": 64, "doc_stride": 16, "max_question_length": 16}
            qa["train"] |= {"epochs": 1, "batch_size": 4, "precision": "fp32", "patience": None}
            qa["predict"]["precision"] = "fp32"
            qa["perturb"]["questions"] = 0  # it answers each question a dozen times
            for name, sizes in SIZES.items():
                qa["models"][name] |= sizes

    def _leave_out(self, *stages: str) -> None:
        path = self.folder / "dvc.yaml"
        graph = yaml.safe_load(path.read_text(encoding="utf-8"))
        for stage in stages:
            del graph["stages"][stage]
        path.write_text(yaml.safe_dump(graph, sort_keys=False), encoding="utf-8")
        with self.params() as qa:  # the stage check refuses what no stage reads
            for stage in stages:
                del qa[stage]

    def params(self) -> "Edit":
        return Edit(self.folder / "params.yaml")

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command in the project and return all that it printed."""
        environment = os.environ | forks.environment(self.programs) | {
            "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
            "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
        }  # fmt: skip
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output
        return output

    def repro(self) -> list[str]:
        """`dvc repro`, and the stages that ran but for `check`, which runs before the others."""
        ran = re.findall(r"^Running stage '(\w+)'", self.run("dvc", "repro"), re.MULTILINE)
        assert "check" not in ran[1:]
        return [stage for stage in ran if stage != "check"]

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message, "--allow-empty")

    def metrics(self, name: str) -> dict[str, Any]:
        text = (self.folder / "metrics" / name).read_text(encoding="utf-8")
        values: dict[str, Any] = json.loads(text)["qa"]
        return values

    def predictions(self) -> dict[str, str]:
        path = self.folder / "data/qa/predictions/predictions.json"
        values: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return values


class Edit:
    """The section `qa` of a params file, written back at the end of the block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> dict[str, Any]:
        self.values = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        return self.values["qa"]

    def __exit__(self, *_: object) -> None:
        # YAML's own float form has a dot, which both of its versions read as a number.
        self.path.write_text(yaml.safe_dump(self.values, sort_keys=False), encoding="utf-8")


def has_ended(process: psutil.Process, within: float) -> bool:
    """Whether a process ends in so many seconds; one that nobody has buried has ended, too."""
    end = time.monotonic() + within
    while is_alive(process):
        if time.monotonic() >= end:
            return False
        time.sleep(0.01)
    return True


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
