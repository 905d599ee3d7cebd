"""A whole search through git and DVC's cache, with experiments that are made without a run."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from compare.scored_runs import Runs, md5
from tries.searches import BETTER

from retune.tasks.qa.score.question_scores import QuestionScore, write_question_scores
from retune.tools.cli.main import main
from retune.tools.experiments.experiments import Experiment
from retune.tools.experiments.sweep import Outcome
from retune.tools.tries import runs
from retune.tools.tries.ledger import LEDGER, REF
from retune.tools.tries.runs import DvcRunner

Capture = pytest.CaptureFixture[str]
VALIDATION, TEST = "data/qa/validation_scores", "data/qa/scores"


def scores(split: str, key: str, skill: float) -> list[QuestionScore]:
    """Answers to 60 questions in 20 passages, of which the share `skill` is right."""
    draw = random.Random(f"{split} {key}")
    right = [draw.random() < skill for _ in range(60)]
    return [
        QuestionScore(
            f"{split}{number}", f"passage {number // 3}", "article", "What?", ("yes",),
            one, float(one), "yes" if one else "no",
        )
        for number, one in enumerate(right)
    ]  # fmt: skip


class Project(Runs):
    """A project; `sweep` leaves what a sweep would leave in git and in DVC's cache.

    Attributes:
        swept: the experiments and stages that were asked for.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.swept: list[tuple[str, str]] = []
        outs = {"validate": VALIDATION, "score": TEST}
        stages = {name: {"cmd": "true", "outs": [out]} for name, out in outs.items()}
        self.write("dvc.yaml", {"stages": stages})
        self.write("params.yaml", {"qa": {"seed": 1, "train": {"lr": "1e-4"}}})
        self.git("add", "-A")
        self.git("commit", "-qm", "first")

    def sweep(
        self, experiments: Sequence[Experiment], *, replace: bool, stages: Sequence[str]
    ) -> list[Outcome]:
        assert not replace
        for each in experiments:
            self.swept.append((each.name, *stages))
            self._add(each.name, f"{sorted(each.changes.items())}", stages[0])
        return [Outcome(each.name, False, Path("log")) for each in experiments]

    def _add(self, name: str, key: str, stage: str) -> None:
        base = self.git("rev-parse", "HEAD")
        skill = 0.9 if "3e-4" in key else 0.5
        locked = {
            "validate": self._stage(VALIDATION, key, skill, raw="raw", model=key),
            "predict": self._stage(TEST, key, skill, model=key),
            "score": self._stage(TEST, key, skill, test="test", predictions=key),
        }
        wanted = ["validate"] if stage == "validate" else ["predict", "score"]
        stages = {name: locked[name] for name in wanted}
        self.write("dvc.lock", {"schema": "2.0", "stages": stages})
        self.git("add", "-A")
        self.git("commit", "-qm", name)
        commit = self.git("rev-parse", "HEAD")
        self.git("reset", "-q", "--hard", base)
        self.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", commit)
        self._remember(stages)

    def _stage(self, out: str, key: str, skill: float, **deps: str) -> dict[str, Any]:
        path = self.folder / out / "questions.jsonl"
        write_question_scores(path, scores(out, key, skill))
        sums = [{"path": f"data/qa/{name}", "md5": md5(of.encode())} for name, of in deps.items()]
        outs = [{"path": out, "hash": "md5", "md5": self.cached_folder(path.parent)}]
        return {"cmd": "true", "deps": sums, "outs": outs}

    def _remember(self, stages: dict[str, Any]) -> None:
        """Keep runs as DVC's run cache does."""
        for stage in stages.values():
            text = json.dumps(stage).encode()
            path = self.folder / ".dvc" / "cache" / "runs" / "aa" / md5(text) / "run"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "sweep", made.sweep)
    monkeypatch.setattr(DvcRunner, "check", lambda *_: None)
    return made


def last_line(capsys: Capture, *arguments: str) -> tuple[int, str]:
    code = main(["try", *arguments])
    return code, capsys.readouterr().out.splitlines()[-1]


def test_a_search_looks_at_test_once_at_its_end(project: Project, capsys: Capture) -> None:
    begin = ["--begin", "--tries", "3", "--seeds", "1,2,3"]
    assert last_line(capsys, *begin) == (0, "VERDICT base tries=0/3")
    assert last_line(capsys, "better", *BETTER)[0] == 0
    assert {stage for _, stage in project.swept} == {"validate"}
    code, line = last_line(capsys, "--end")
    assert (code, line[:19]) == (0, "VERDICT better f1 +")
    assert line.endswith(" looks=6")  # base and best with three seeds each
    scored = [name[:9] for name, stage in project.swept if stage == "score"]
    assert scored == ["test-base"] * 3 + ["test-bett"] * 3
    assert main(["try", "more", "qa.train.lr=5e-4"]) == 1
    assert "the search has ended" in capsys.readouterr().err
    assert main(["try", "--end"]) == 1
    entries = [json.loads(line) for line in Path(LEDGER).read_text("utf-8").splitlines()]
    assert [entry["kind"] for entry in entries[-3:]] == ["result", "end", "result"]
    assert len(project.git("log", "--format=%H", REF).splitlines()) == 6
