"""`retune doctor --model`: labels of files, ranked by the stored answers of experiments."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compare.scored_runs import Runs
from labels.stored_answers import QUESTIONS, questions, squad, write_run

from retune.tasks.qa.questions.examples import Answer, Example
from retune.tools.cli.main import main

Capture = pytest.CaptureFixture[str]

EXAMPLES = questions(24)
#: Articles have two passages of four questions; two folds.
FOLDS = [[each for each in EXAMPLES if int(each.title.split()[1]) % 2 == fold] for fold in (0, 1)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experiments of a reader in two folds, and of one that answered the first fold only."""
    runs = Runs(tmp_path_factory.mktemp("runs"))
    runs.run(1)
    for fold, examples in enumerate(FOLDS, 1):
        _answer(runs, f"bert-fold={fold}of2", examples, download={"fold": f"{fold}/2"})
    _answer(runs, "alone", FOLDS[0])
    _answer(runs, "other", [replace(each, question="Where?") for each in EXAMPLES])
    runs.experiment("unscored", 1, stopped=True)
    runs.experiment("lost", 1)
    return runs.folder


def _answer(runs: Runs, name: str, examples: list[Example], **settings: Any) -> None:
    shutil.rmtree(runs.folder / "data", ignore_errors=True)
    write_run(runs.folder / "data/qa", examples)
    runs.experiment(name, 1, stored=True, **settings)


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def doctor(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(["doctor", *arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code == 2 else captured.out


def wrong(example: Example, others: list[Example]) -> Example:
    """The question with the answer of another one on its passage."""
    other = next(o for o in others if o.context == example.context and o.id != example.id)
    return replace(example, answers=other.answers)


def write(path: Path, examples: list[Example]) -> str:
    path.write_text(squad(examples), encoding="utf-8")
    return str(path)


def test_a_wrong_label_is_found_with_the_span_that_is_expected(
    tmp_path: Path, capsys: Capture
) -> None:
    changed = {row: wrong(EXAMPLES[row], EXAMPLES) for row in range(0, 96, 24)}
    examples = [changed.get(row, each) for row, each in enumerate(EXAMPLES)]
    path = write(tmp_path / "data.json", examples)
    report = json.loads(doctor(capsys, path, "--model", "bert", "--json"))
    assert report["checks"]["labels"] is True
    assert len(report["labels"]) == len(EXAMPLES)
    first = report["labels"][: len(changed)]
    ids = {each.id for each in changed.values()}
    assert len({row["id"] for row in first} & ids) >= len(ids) - 1
    values = [row["probability"] for row in report["labels"]]
    assert values == sorted(values, reverse=True)
    place = next(row for row in first if row["id"] == EXAMPLES[0].id)
    assert place["where"] == "/data/0/paragraphs/0/qas/0/answers/0"
    answer = changed[0].answers[0]
    assert place["label"] == {"text": answer.text, "answer_start": answer.start}
    start, text = place["expected"]["answer_start"], place["expected"]["text"]
    assert EXAMPLES[0].context[start : start + len(text)] == text
    flagged = [row for row in report["labels"] if row["flagged"]]
    notes = [row for row in report["findings"] if row["kind"] == "implausible_label"]
    assert {row["id"] for row in notes} == {row["id"] for row in flagged}
    assert all(note["severity"] == "note" and note["change"] is None for note in notes)


def test_text_says_what_was_ranked_and_fix_leaves_the_labels(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retune.tasks.qa.labels.ranking.FLAGGED", 0.0)
    path, out = write(tmp_path / "data.json", EXAMPLES), tmp_path / "out.json"
    text = doctor(capsys, path, "--model", "bert", "--fix", str(out))
    listed = text[text.index("Labels that are probably wrong, the most probable first") :]
    ranks = re.findall(r"\(rank (\d+) of 96\)", " ".join(listed.split()))
    assert ranks == [str(rank) for rank in range(1, 97)]
    assert "labels ranked by bert (2 runs): 96; probably wrong: 96" in text
    assert all(len(line) <= 80 for line in text.splitlines() if str(tmp_path) not in line)
    kept = json.loads(out.read_text("utf-8"))["data"]
    assert kept == json.loads(Path(path).read_text("utf-8"))["data"]
    assert doctor(capsys, path, "--model", "bert", "--strict", code=1)


def test_a_label_that_was_corrected_is_no_longer_suspect(tmp_path: Path, capsys: Capture) -> None:
    """The labels are those of the file, so that nothing has to be trained again."""
    examples = [wrong(EXAMPLES[0], EXAMPLES), *EXAMPLES[1:]]
    ranks = []
    for name, data in (("wrong", examples), ("right", EXAMPLES)):
        path = write(tmp_path / f"{name}.json", data)
        report = json.loads(doctor(capsys, path, "--model", "bert", "--json"))
        ranks.append([row["id"] for row in report["labels"]].index(EXAMPLES[0].id))
    assert ranks[0] < 10 < ranks[1]


def test_questions_that_the_model_may_have_seen_are_not_ranked(
    tmp_path: Path, capsys: Capture
) -> None:
    path = write(tmp_path / "data.json", EXAMPLES)
    text = doctor(capsys, path, "--model", "alone")
    assert "labels ranked by alone (1 run): 48; probably wrong: " in text
    assert "not ranked: 48 questions with other texts in these runs, or in no test split" in text
    assert "`retune sweep ... --folds 5` has each question in a test split" in text


def test_unanswerable_questions_are_not_ranked_and_said(tmp_path: Path, capsys: Capture) -> None:
    examples = [replace(EXAMPLES[0], answers=()), *EXAMPLES[1:]]
    path = write(tmp_path / "data.json", examples)
    text = doctor(capsys, path, "--squad-v2", "--model", "bert", code=1)  # no is_impossible
    assert "labels ranked by bert (2 runs): 95" in text
    assert "not ranked: 1 question without a label that has a place" in text


def test_each_place_that_annotators_marked_is_a_label(tmp_path: Path, capsys: Capture) -> None:
    first = EXAMPLES[0]
    start = first.context.index(" ") + 1
    other = Answer(first.context[start:].split(" ")[0], start)
    twice = replace(first, answers=(*first.answers, other, *first.answers))
    path = write(tmp_path / "data.json", [twice, *EXAMPLES[1:]])
    report = json.loads(doctor(capsys, path, "--model", "bert", "--json"))
    own = [row["label"]["answer_start"] for row in report["labels"] if row["id"] == first.id]
    assert sorted(own) == sorted([first.answers[0].start, start])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("lstm", "lstm: no predictions file, experiment or commit of that name; experiments: "),
        ("other", "--model other: none of these questions is in the test split of its runs"),
        ("unscored", "unscored: its settings were not scored on test"),
        ("lost", "lost: data/qa/test of this run is not in DVC's cache; run the experiment again"),
    ],
)
def test_a_model_without_answers_to_these_questions_is_refused(
    tmp_path: Path, capsys: Capture, model: str, message: str
) -> None:
    path = write(tmp_path / "data.json", EXAMPLES[:QUESTIONS])
    assert message in " ".join(doctor(capsys, path, "--model", model, code=2).split())


def test_a_label_that_no_window_holds_is_not_ranked(tmp_path: Path, capsys: Capture) -> None:
    context = EXAMPLES[0].context
    whole = replace(EXAMPLES[0], answers=(Answer(context[1:], 1),))  # begins within a word
    path = write(tmp_path / "data.json", [whole, *EXAMPLES[1:]])
    report = json.loads(doctor(capsys, path, "--model", "bert", "--json"))
    assert whole.id in {row["id"] for row in report["labels"]}  # its tokens are in a window
    longer = replace(EXAMPLES[0], context=f"{context} more", answers=(Answer(context[1:], 1),))
    path = write(tmp_path / "data.json", [longer, *EXAMPLES[1:]])
    text = doctor(capsys, path, "--model", "bert")
    assert "not ranked: 1 question with other texts in these runs" in text


def test_an_id_in_two_splits_is_told_apart(tmp_path: Path, capsys: Capture) -> None:
    other = replace(EXAMPLES[0], context="Ada met Bo", answers=(Answer("Bo", 8),))
    train, test = write(tmp_path / "a.json", EXAMPLES), write(tmp_path / "b.json", [other])
    assert main(["doctor", train, "--test", test, "--model", "bert", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    (row,) = (row for row in report["labels"] if row["id"] == EXAMPLES[0].id)
    assert row["file"] == train
    assert len(report["labels"]) == len(EXAMPLES)


def test_what_else_is_wrong_is_reported_before_the_model_is_refused(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "cut.json"
    path.write_text(squad(EXAMPLES)[:-1], encoding="utf-8")
    assert main(["doctor", str(path), "--model", "bert"]) == 2
    printed = capsys.readouterr()
    assert "truncated" in printed.out
    assert "--model bert: " in printed.err


def test_the_last_run_is_the_workspace(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "project").mkdir()
    runs = Runs(tmp_path / "project")
    write_run(runs.folder / "data/qa", EXAMPLES)
    runs.run(1, stored=True)
    path = write(tmp_path / "data.json", EXAMPLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(runs.folder)
        assert "labels ranked by workspace (1 run): 96" in doctor(
            capsys, path, "--model", "workspace"
        )
