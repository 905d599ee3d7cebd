"""A git and DVC repository with runs of the score stage, made without running any stage."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from retune.tasks.qa.labels.runs import FOLDERS
from retune.tasks.qa.score.question_scores import QuestionScore, write_question_scores
from retune.tasks.task import costs
from retune.tools.compare.sources import SCORES
from retune.tools.compare.systems import System, compared
from retune.tools.compare.verdicts import as_json

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
#: Half of the questions of each passage are answered by any system.
PASSAGES, QUESTIONS = 8, 4


def rows(right: int) -> list[QuestionScore]:
    """Scores of a system that answers the first `right` questions of each passage."""
    return [
        QuestionScore(
            f"p{p}q{q}", f"passage {p}", f"article {p // 2}", f"What is {p} {q}?", ("yes",),
            q < right, float(q < right), "yes" if q < right else "no",
        )
        for p in range(PASSAGES)
        for q in range(QUESTIONS)
    ]  # fmt: skip


def md5(content: bytes) -> str:
    """Return the MD5 of a file."""
    return hashlib.md5(content).hexdigest()


def comparison(**right: list[int]) -> dict[str, Any]:
    """Return what `retune compare --json` prints of systems; of each run, the answers to a passage.

    The seeds are 42, 43 and so on; all figures of costs are 5.
    """
    spent = dict.fromkeys(costs(), 5.0)
    systems = [
        System(name, [rows(count) for count in runs], range(42, 42 + len(runs)), spent)
        for name, runs in right.items()
    ]
    return as_json(compared(systems))


class Runs:
    """A repository in a folder; `run` commits a run of the pipeline."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")
        (folder / ".dvc").mkdir()
        (folder / ".dvc" / "config").write_text("", encoding="utf-8")
        score = {"cmd": "true", "outs": [SCORES.parent.as_posix()]}
        predict = {"cmd": "true", "outs": [f"data/qa/{name}" for name in FOLDERS]}
        self.write("dvc.yaml", {"stages": {"score": score, "predict": predict}})
        (folder / ".gitignore").write_text("/.dvc/cache\n/.dvc/tmp\n/data\n", encoding="utf-8")

    def git(self, *arguments: str) -> str:
        """Run git."""
        done = subprocess.run(
            [*GIT, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, name: str, value: Any) -> None:
        """Write YAML, of which JSON is a part."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(value), encoding="utf-8")

    def run(
        self,
        right: int,
        *,
        seed: int = 1,
        test: str = "t",
        stopped: bool = False,
        stored: bool = False,
        **settings: Any,
    ) -> str:
        """Commit a run that answers `right` questions of each passage; return the commit.

        One that is `stopped` made new predictions, which are not scored. With `stored`, what is in
        data/qa belongs to the run.
        """
        scores = self.folder / SCORES
        write_question_scores(scores, rows(right))
        folder = self.cached_folder(scores.parent)
        made = {"test": f"{test * 8}.dir", "predictions": f"{right}{seed}" * 8}
        if stored:
            made = {name: self.cached_folder(self.folder / "data/qa" / name) for name in FOLDERS}
        deps = [{"path": f"data/qa/{name}", "md5": made[name]} for name in ("test", "predictions")]
        outs = [
            {"path": SCORES.parent.as_posix(), "hash": "md5", "md5": folder},
            {"path": "metrics/qa.json", "hash": "md5", "md5": "a" * 32},
        ]
        costs_ = [
            {"path": f"metrics/qa_{name}.json", "hash": "md5", "md5": "b" * 32}
            for name in ("costs", "times")
        ]
        stages: dict[str, Any] = {
            "score": {"cmd": "true", "deps": deps, "outs": outs},
            "train": {"cmd": "true", "outs": costs_},
        }
        if stored:
            outs = [{"path": f"data/qa/{name}", "hash": "md5", "md5": made[name]} for name in made]
            stages["predict"] = {"cmd": "true", "outs": outs}
        if stopped:
            new = {"path": "data/qa/predictions", "md5": "new"}
            stages["postprocess"] = {"cmd": "true", "outs": [new]}
        self.write("dvc.lock", {"schema": "2.0", "stages": stages})
        rules = {"squad_v2": False, "score": {"normalizer": "squad"}} | settings
        self.write("params.yaml", {"qa": {"model": "bert", "seed": seed, **rules}})
        self._metrics("qa", exact_match=25.0 * right, f1=25.0 * right)
        self._metrics("qa_costs", parameters=2_000_000 * right)
        self._metrics("qa_times", train_seconds=30.0 * seed)
        self.git("add", "-A")
        self.git("commit", "-qm", f"{right} {seed}", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def experiment(self, name: str, right: int, **settings: Any) -> None:
        """Add an experiment on the last commit, as `dvc exp run --temp` leaves it."""
        base = self.git("rev-parse", "HEAD")
        commit = self.run(right, **settings)
        self.git("reset", "-q", "--hard", base)
        self.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", commit)

    def _metrics(self, name: str, **figures: float) -> None:
        path = self.folder / "metrics" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"qa": figures}), encoding="utf-8")

    def cached_folder(self, path: Path) -> str:
        """Put the files of a folder into the cache; return the folder's MD5."""
        listing = []
        for file in sorted(path.iterdir()):
            content = file.read_bytes()
            self._store(md5(content), content)
            listing.append({"md5": md5(content), "relpath": file.name})
        folder = json.dumps(listing).encode()
        self._store(f"{md5(folder)}.dir", folder)
        return f"{md5(folder)}.dir"

    def _store(self, md5: str, content: bytes) -> None:
        path = self.folder / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
