"""`retune few-shot`: what it draws and costs, what it runs, how it goes on, and what it prints."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from few_shot.few_shot_projects import PASSAGES, ROOT, SMALL, TEST, Project, scores, settings

from retune.tools.cli.main import main
from retune.tools.experiments.experiments import FEW_SHOT
from retune.tools.few_shot.cost import LastRun
from retune.tools.few_shot.plan import Sizes, plan
from retune.tools.few_shot.pool import Split, listed_splits, shared_articles
from retune.tools.few_shot.results import kept_epoch

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(monkeypatch)


def as_json(capsys: Capture, *words: str) -> dict[str, Any]:
    assert main(["few-shot", "--json", *SMALL, *words]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_data_and_cost_are_printed_before_anything_runs(project: Project, capsys: Capture) -> None:
    assert main(["few-shot", "--dry-run", *SMALL]) == 0
    printed = capsys.readouterr()
    name, *lines, cost = printed.err.splitlines()
    assert re.fullmatch(r"few-shot-[0-9a-f]{8}: 4 draws", name)
    assert lines == [
        "train: 981 questions about 36 articles; each draw trains on 64 of them",
        "validation: 350 questions about 10 articles; the same 32 are used in every draw",
        "test: 373 questions about 13 articles; the same 60 are used in every draw",
    ]
    found = re.fullmatch(
        r"cost: 4 trainings on 64 questions \(about (\d+) windows\) for 2 epochs, and about \d+ "
        r"test windows to predict after each: 0\.3 times the training of the last run, about "
        r"3 minutes of training at its speed",
        cost,
    )
    assert found
    assert int(found[1]) == pytest.approx(64 * 1081 / 981, rel=0.1)  # as metrics/qa_windows.json
    assert (printed.out, project.ran) == ("", [])


def test_time_is_estimated_from_tokens_and_a_crop_halves_them(
    project: Project, capsys: Capture
) -> None:
    (train,) = (
        entry
        for entry in json.loads((ROOT / "metrics/qa_windows.json").read_text())["qa"]["windows"]
        if entry["split"] == "train"
    )
    whole = as_json(capsys)["cost"]
    assert whole["tokens"] == pytest.approx(64 * train["tokens"] / train["questions"], rel=0.1)
    tokens = 4 * 2 * 64 * train["tokens"] / train["questions"]
    assert whole["seconds"] == pytest.approx(tokens / 600, rel=0.1)
    assert whole["times_last_run"] == pytest.approx(tokens / 442_662, rel=0.1)
    cropped = as_json(capsys, "qa.train.crop=0.8")["cost"]
    assert cropped["seconds"] == pytest.approx(0.6 * whole["seconds"])
    assert cropped["windows"] == whole["windows"]


def test_another_model_or_no_last_run_tells_no_time(project: Project, capsys: Capture) -> None:
    project.last = LastRun(442_662, 600.0, ("qa.model", "qa.tokenize"))
    assert main(["few-shot", "--dry-run", *SMALL]) == 0
    assert "its time says nothing, because qa.model and qa.tokenize was different" in (
        capsys.readouterr().err
    )
    project.last = None
    assert main(["few-shot", "--dry-run", *SMALL]) == 0
    assert "there is no last run to tell the time by" in capsys.readouterr().err


def test_draws_differ_by_training_questions_and_seed_alone(
    project: Project, capsys: Capture
) -> None:
    value = as_json(capsys, "qa.train.epochs=3")
    assert [one.name for one in project.ran] == [f"{value['name']}-draw={n}" for n in range(1, 5)]
    assert all(FEW_SHOT.fullmatch(one.name) for one in project.ran)
    for number, one in enumerate(project.ran, 1):
        assert settings(one) == {
            "qa.train.epochs": 3,
            "qa.download.train_limit": "sample 64",
            "qa.download.validation_limit": "sample 32",
            "qa.download.test_limit": "sample 60",
            "qa.download.train_share": None,
            "qa.download.train_draw": number,
            "qa.seed": number,
        }
        assert one.swept == {"qa.train.epochs"}


def test_what_there_is_too_little_of_is_used_whole(project: Project, capsys: Capture) -> None:
    words = ["--train", "500", "--draws", "2"]
    project.sizes = {"train": 500, "validation": 256, "test": 373}
    assert main(["few-shot", *words]) == 0
    printed = capsys.readouterr()
    assert (
        "test: 373 questions about 13 articles, fewer than the 2,048 of the protocol; all are used "
        "in every draw\n" in printed.err
    )
    assert (
        "warning: 981 training questions are less than twice the 500 of a draw, so two draws share "
        "51% of their questions and vary less than new data would; give a smaller --train\n"
        in printed.err
    )
    assert settings(project.ran[0])["qa.download.test_limit"] is None
    assert settings(project.ran[0])["qa.download.validation_limit"] == "sample 256"


def test_a_killed_protocol_goes_on_with_what_is_missing(project: Project, capsys: Capture) -> None:
    project.failing = "-draw=2"
    assert main(["few-shot", *SMALL]) == 1
    assert re.search(
        r"1 of 4 draws failed: few-shot-\w+-draw=2 \(see logs", capsys.readouterr().err
    )
    project.failing = ""
    assert main(["few-shot", *SMALL]) == 0
    assert [one.name.endswith("-draw=2") for one in project.ran[4:]] == [True]
    error = capsys.readouterr().err
    assert "cost: 1 training on 64 questions" in error
    assert error.endswith("; 3 of 4 draws are done\n")
    assert main(["few-shot", *SMALL, "--dry-run"]) == 0
    assert capsys.readouterr().err.endswith("cost: none, all 4 draws are done\n")
    assert main(["few-shot", *SMALL[:-1], "6"]) == 0
    assert [one.name[-6:] for one in project.ran[5:]] == ["draw=5", "draw=6"]
    assert main(["few-shot", *SMALL, "--replace"]) == 0
    assert len(project.ran) == 4 + 1 + 2 + 4


def test_other_settings_sizes_and_code_are_another_protocol(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = Sizes(64, 32, TEST, 4)
    keys = [plan([], sizes).key, plan(["qa.train.lr=1e-4"], sizes).key,
            plan(["n2-bert-base", "qa.dataset=bundled"], sizes).key,
            plan([], Sizes(65, 32, TEST, 4)).key, plan([], Sizes(64, 32, TEST - 1, 4)).key,
            plan(["qa.download.unanswerable=drop", "qa.squad_v2=true"], sizes).key]  # fmt: skip
    monkeypatch.setattr("retune.tools.project.code.code_digest", lambda folder: "other")
    keys.append(plan([], sizes).key)
    assert len({*keys}) == len(keys)
    assert plan([], Sizes(64, 32, TEST, 9)).key == keys[-1]


def test_the_terminal_shows_draws_mean_and_what_the_interval_covers(
    project: Project, capsys: Capture
) -> None:
    assert main(["few-shot", *SMALL]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    rows = [line.split() for line in text.splitlines() if line]
    f1 = [100 * np.mean([score.f1 for score in scores(n)]) for n in range(1, 5)]
    assert rows[0] == ["draw", "EM", "F1", "epoch", "kept"]
    assert [[row[0], *row[2:]] for row in rows[1:5]] == [
        [str(n), f"{f1[n - 1]:.2f}", "1" if n % 2 else "2"] for n in range(1, 5)
    ]
    assert rows[5] == ["4", "draws", "mean", "95", "%", "sd", "of", "draws", "lowest", "highest"]
    assert rows[7][:2] == ["F1", f"{np.mean(f1):.2f}"]
    assert rows[7][-3:] == [f"{np.std(f1, ddof=1):.2f}", f"{min(f1):.2f}", f"{max(f1):.2f}"]
    words = " ".join(text.split())
    assert (
        "Drawn: 4 times 64 of 981 training questions, each time without replacement and with a "
        "seed of its own. Two draws share 7% of their questions on average. The epoch was chosen "
        "on 32 validation questions, and the score is that of 60 test questions in 12 passages."
        in words
    )
    assert "They do not cover other validation questions, and other data sets even less." in words
    assert re.search(r"`retune compare few-shot-[0-9a-f]{8} few-shot-OTHER`\.$", words)


def test_json_has_the_draws_and_an_interval_wider_than_that_of_the_draws_alone(
    project: Project, capsys: Capture
) -> None:
    value = as_json(capsys)
    assert [draw["draw"] for draw in value["draws"]] == [1, 2, 3, 4]
    assert [draw["epoch"] for draw in value["draws"]] == [1, 2, 1, 2]
    f1 = value["scores"]["f1"]
    assert f1["value"] == pytest.approx(np.mean([draw["f1"] for draw in value["draws"]]))
    # The draws agree, but the passages differ much, and other ones would give other means.
    assert f1["std"] < 2
    assert f1["high"] - f1["low"] > 20
    assert 0 <= f1["low"] < f1["value"] < f1["high"] <= 100
    assert (value["clusters"], value["cluster"]) == (PASSAGES, "passage")
    assert value["pool"]["train"] == {"questions": 981, "articles": 36}
    assert value["shared"] == pytest.approx(64 / 981)
    assert value["cost"]["trainings"] == 4
    assert as_json(capsys) == value


@pytest.mark.parametrize(
    ("curve", "keep", "epoch"),
    [
        ("epoch,f1\n1.0,10\n2.0,30\n3.0,30\n", "best", 2),
        ("epoch,f1\n1.0,10\n2.0,30\n3.0,20\n", "last", 3),
        ("epoch,f1\n", "best", None),
        ("", "last", None),
    ],
)
def test_the_kept_epoch_is_the_first_best_or_the_last(
    curve: str, keep: str, epoch: int | None
) -> None:
    assert kept_epoch(curve, keep) == epoch


def test_articles_in_two_splits_are_named() -> None:
    pool = {name: Split(9, frozenset(titles), 1.0, 9.0, "") for name, titles in
            {"train": "abc", "validation": "d", "test": "cbe"}.items()}  # fmt: skip
    (warning,) = shared_articles(pool)
    assert warning.startswith("warning: 2 articles are in train and in test, such as 'b'; ")
    assert listed_splits({"test": Split(9, frozenset(), 1.0, 9.0, "")}, {"test": 9}) == [
        "test: 9 questions; the same 9 are used in every draw"
    ]


def recipe() -> Mapping[str, str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+) := (.*)$", text, re.M))


def test_make_few_shot_in_small_fits_the_bundled_corpus(project: Project, capsys: Capture) -> None:
    words = shlex.split(recipe()["SMALL_FEW_SHOT"])
    assert main(["few-shot", *words, "--dry-run"]) == 0
    assert "each draw trains on 64 of them" in capsys.readouterr().err
    text = Path("Makefile").read_text(encoding="utf-8")
    assert "\tretune few-shot $(if $(SMALL),$(SMALL_FEW_SHOT))\n" in text
