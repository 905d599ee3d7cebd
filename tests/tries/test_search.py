"""A search from its plan to its look at test, with a runner that trains nothing."""

import json
from pathlib import Path

import pytest
from tries.searches import BETTER, FakeRunner, begun, project, search

from retune.core.errors import RetuneError
from retune.tools.tries.ledger import LEDGER, Ledger
from retune.tools.tries.looks import outside

Folder = Path


def kinds(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / LEDGER).read_text(encoding="utf-8").splitlines()
    return [(entry["kind"], entry["name"]) for entry in map(json.loads, lines)]


def test_what_is_better_is_kept_and_carried_on_and_noise_is_dropped(tmp_path: Path) -> None:
    runner = FakeRunner()
    begun(tmp_path, runner)
    noise = search(tmp_path, runner).attempt("noise", ["qa.train.epochs=3"])
    assert noise["verdict"] == "dropped"
    assert noise["tests"] == 5
    better = search(tmp_path, runner).attempt("better", BETTER)
    assert (better["verdict"], better["against"]) == ("kept", "base")
    assert better["p_value"] * 5 < 0.05
    more = search(tmp_path, runner).attempt("more", ["qa.train.epochs=4"])
    assert (more["verdict"], more["against"]) == ("dropped", "better")
    assert more["changes"] == {"qa.train.lr": "3e-4", "qa.train.epochs": "4"}
    assert kinds(tmp_path)[:4] == [
        ("plan", "base"), ("result", "base"), ("try", "noise"), ("result", "noise"),
    ]  # fmt: skip
    assert {split for _, split in runner.runs} == {"validation"}


def test_the_end_scores_base_and_best_on_test_once(tmp_path: Path) -> None:
    runner = FakeRunner()
    begun(tmp_path, runner)
    search(tmp_path, runner).attempt("better", BETTER)
    runner.failing = "test-better"
    with pytest.raises(RetuneError, match="see logs"):
        search(tmp_path, runner).end()
    with pytest.raises(RetuneError, match="the search has ended"):
        search(tmp_path, runner).attempt("late", BETTER)
    with pytest.raises(RetuneError, match="a search is open"):
        search(tmp_path, runner).begin(5, "1,2,3", "f1")
    final = search(tmp_path, runner).end()
    assert (final["verdict"], final["kept"]) == ("better", "better")
    assert final["interval"][0] > 0
    assert [name[:10] for name, split in runner.runs if split == "test"][-1] == "test-bette"
    with pytest.raises(RetuneError, match=r"the search has ended; `retune try --begin"):
        search(tmp_path, runner).end()


def test_equal_answers_on_test_are_not_separable(tmp_path: Path) -> None:
    runner = FakeRunner()
    begun(tmp_path, runner)
    search(tmp_path, runner).attempt("better", BETTER)
    runner.equal = "test"
    assert search(tmp_path, runner).end()["verdict"] == "not-separable"


def test_a_new_search_follows_in_the_same_ledger(tmp_path: Path) -> None:
    runner = FakeRunner()
    begun(tmp_path, runner)
    assert search(tmp_path, runner).end()["verdict"] == "nothing-kept"
    (tmp_path / "src" / "code.py").write_text("a = 2\n", encoding="utf-8")
    search(tmp_path, runner, {("m", "v"), ("m", "w")}).begin(7, "4,5,6", "exact_match")
    state = search(tmp_path, runner).state
    assert (state.plan.tries, state.plan.seeds, state.plan.known) == (7, (4, 5, 6), ("m",))
    assert [kind for kind, _ in kinds(tmp_path)].count("plan") == 2
    first, second = (name for name, split in runner.runs if name.startswith("base"))
    assert first != second


def test_an_interrupted_try_goes_on_and_keeps_its_place(tmp_path: Path) -> None:
    runner = FakeRunner()
    begun(tmp_path, runner)
    runner.failing = "better"
    with pytest.raises(RetuneError, match="see logs"):
        search(tmp_path, runner).attempt("better", BETTER)
    with pytest.raises(RetuneError, match=r"better has begun with qa.train.lr=3e-4; give the same"):
        search(tmp_path, runner).attempt("better", ["qa.train.lr=1"])
    assert search(tmp_path, runner).attempt("better", BETTER)["verdict"] == "kept"
    assert [name for kind, name in kinds(tmp_path) if kind == "try"] == ["better"]


def test_an_interrupted_base_goes_on(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.failing = "base"
    with pytest.raises(RetuneError, match="see logs"):
        begun(tmp_path, runner)
    with pytest.raises(RetuneError, match="the base of the search has not run"):
        search(tmp_path, runner).attempt("better", BETTER)
    with pytest.raises(RetuneError, match="begun with --tries 5 --seeds 1,2,3 --metric f1; give"):
        search(tmp_path, runner).begin(6, "1,2,3", "f1")
    search(tmp_path, runner).begin(5, "1,2,3", "f1")
    assert kinds(tmp_path) == [("plan", "base"), ("result", "base")]


def test_a_search_whose_base_cannot_run_is_ended(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.failing = "base"
    with pytest.raises(RetuneError, match="see logs"):
        begun(tmp_path, runner)
    assert search(tmp_path, runner).end()["verdict"] == "nothing-kept"
    assert not [name for name, split in runner.runs if split == "test"]


def test_a_refused_change_uses_no_try(tmp_path: Path) -> None:
    runner = FakeRunner()
    begun(tmp_path, runner)
    runner.refused = True
    with pytest.raises(RetuneError, match="refused"):
        search(tmp_path, runner).attempt("typo", ["qa.train.lr=x"])
    assert len(kinds(tmp_path)) == 2


def test_looks_outside_the_ledger_raise_the_bar(tmp_path: Path) -> None:
    runner = FakeRunner()
    project(tmp_path)
    search(tmp_path, runner, {("old", "v")}).begin(5, "1,2,3", "f1")
    sums = search(tmp_path, runner).state.sums
    seen = {("old", "v"), ("secret", "v"), ("elsewhere", "w")} | {(each, "v") for each in sums}
    result = search(tmp_path, runner, seen).attempt("better", BETTER)
    assert (result["outside"], result["tests"]) == (["secret"], 6)


def test_looks_are_outside_if_their_questions_are_the_same_or_unknown() -> None:
    scored = {("ours", "v"), ("known", "v"), ("same", "v"), ("other", "w"), ("unknown", "")}
    assert outside(scored, {"known"}, {"ours"}) == ["same", "unknown"]


def test_a_ledger_whose_last_line_has_no_end_goes_on(tmp_path: Path) -> None:
    runner = FakeRunner()
    begun(tmp_path, runner)
    path = tmp_path / LEDGER
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")
    search(tmp_path, runner).attempt("odd", ["qa.note='a\u2028b'"])
    assert [entry["kind"] for entry in Ledger(tmp_path).entries][2:] == ["try", "result"]


def test_git_keeps_each_state_of_the_ledger(tmp_path: Path) -> None:
    runner = FakeRunner()
    begun(tmp_path, runner)
    search(tmp_path, runner).attempt("better", BETTER)
    from retune.tools.project.commands import git

    commits = git(tmp_path, "log", "--format=%s", "refs/retune/tries").splitlines()
    entries = Ledger(tmp_path).entries
    assert commits == [entry["sha256"] for entry in reversed(entries)]
    assert git(tmp_path, "status", "--short") == f"?? {LEDGER}"
