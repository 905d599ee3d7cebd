"""Searches that would fool the noise floor, and ledgers that were changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tries.searches import BETTER, FakeRunner, begun, project, search

from retune.core.errors import RetuneError
from retune.tools.project.commands import git
from retune.tools.tries.ledger import LEDGER, REF, digest
from retune.tools.tries.runs import Runs


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


def lines(folder: Path) -> list[str]:
    return (folder / LEDGER).read_text(encoding="utf-8").splitlines()


def forged(entries: list[str], place: int) -> list[str]:
    """The entries with another verdict in one of them, and a chain that fits again."""
    told = [json.loads(line) for line in entries]
    told[place]["verdict"] = "kept"
    before = "0" * 64
    for entry in told:
        entry["before"] = before
        del entry["sha256"]
        entry["sha256"] = before = digest(entry)
    return [json.dumps(entry, separators=(",", ":")) for entry in told]


CHANGED: list[tuple[Callable[[list[str]], list[str]], str]] = [
    pytest.param(lambda ls: [*ls[:3], ls[3].replace("dropped", "kept")], "line 4 was changed",
                 id="N01 a verdict is changed"),
    pytest.param(lambda ls: [*ls[:2], *ls[3:]], "line 3 was changed", id="N01 a line is taken out"),
    pytest.param(lambda ls: ["no JSON", *ls[1:]], "line 1 was changed", id="N01 no JSON"),
    pytest.param(lambda ls: forged(ls, 3), f"line 4 is not the one that {REF} keeps",
                 id="N02 a ledger with a new chain"),
    pytest.param(lambda ls: ls[:2], f"line 3 is missing that {REF} keeps; restore it with `git",
                 id="N02 the last lines are taken away"),
    pytest.param(lambda ls: [], "line 1 is missing", id="N02 an empty ledger"),
]  # type: ignore[list-item] # fmt: skip


@pytest.mark.parametrize(("change", "message"), CHANGED)
def test_a_changed_ledger_is_refused(
    change: Callable[[list[str]], list[str]], message: str, tmp_path: Path, runner: FakeRunner
) -> None:
    begun(tmp_path, runner)
    search(tmp_path, runner).attempt("noise", ["qa.train.epochs=3"])
    changed = change(lines(tmp_path))
    (tmp_path / LEDGER).write_text("".join(f"{line}\n" for line in changed), encoding="utf-8")
    with pytest.raises(RetuneError, match=f"tries.jsonl: {message}"):
        search(tmp_path, runner)


def test_n03_a_ledger_without_its_ref_is_refused(tmp_path: Path, runner: FakeRunner) -> None:
    begun(tmp_path, runner)
    git(tmp_path, "update-ref", "-d", REF)
    with pytest.raises(RetuneError, match=f"git has no {REF}, .* git fetch origin {REF}"):
        search(tmp_path, runner)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        pytest.param("a", ["qa.seed=4"], "qa.seed: the plan fixes the seeds", id="N04 a seed"),
        pytest.param("a", ["qa.score.normalizer=plain"], "fixes the seeds and how answers are",
                     id="N04 the normalizer"),
        pytest.param("a", ["qa.score={normalizer:plain}"], "fixes the seeds and how answers are",
                     id="N04 the section of the normalizer"),
        pytest.param("a", ["qa.download.validation_limit=9"], "cannot choose the questions",
                     id="N05 fewer validation questions"),
        pytest.param("a", ["qa.dataset=files"], "cannot choose the questions",
                     id="N05 another data set"),
        pytest.param("a", ["qa.train.lr=1,2"], "a try is one setting, but qa.train.lr=1,2 gives 2",
                     id="N06 two values"),
        pytest.param("base", BETTER, "base: the ledger has an entry of that name",
                     id="N07 a name that is taken"),
        pytest.param("a/b", BETTER, "'a/b' is no name for a try; allowed: up to 40 letters",
                     id="N07 a name with a slash"),
    ],
)  # fmt: skip
def test_a_try_that_changes_what_the_plan_fixes_is_refused(
    name: str, changes: list[str], message: str, tmp_path: Path, runner: FakeRunner
) -> None:
    begun(tmp_path, runner)
    with pytest.raises(RetuneError, match=message):
        search(tmp_path, runner).attempt(name, changes)
    assert len(lines(tmp_path)) == 2


def test_n05_a_try_on_other_questions_is_refused(tmp_path: Path, runner: FakeRunner) -> None:
    begun(tmp_path, runner)
    runner.other = "more"
    with pytest.raises(RetuneError, match="more was scored on other validation questions than"):
        search(tmp_path, runner).attempt("more", ["qa.download.realign=true"])


def test_n05_a_kept_try_on_other_test_questions_is_refused(
    tmp_path: Path, runner: FakeRunner
) -> None:
    begun(tmp_path, runner)
    search(tmp_path, runner).attempt("better", BETTER)
    runner.other = "test-better"
    with pytest.raises(RetuneError, match="better was scored on other test questions than what"):
        search(tmp_path, runner).end()


def test_n08_a_used_budget_is_an_error(tmp_path: Path, runner: FakeRunner) -> None:
    begun(tmp_path, runner, tries=1)
    search(tmp_path, runner).attempt("one", ["qa.train.epochs=3"])
    with pytest.raises(RetuneError, match=r"budget is used \(1 of 1 tries\); `retune try --end`"):
        search(tmp_path, runner).attempt("two", BETTER)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("params.yaml", "params.yaml has changed since the search began; go back to",
                     id="N09 other params"),
        pytest.param("src/code.py", r"the code \(src, .*\) has changed since the search",
                     id="N09 other code"),
    ],
)  # fmt: skip
def test_a_search_goes_on_only_with_what_it_began_with(
    path: str, message: str, tmp_path: Path, runner: FakeRunner
) -> None:
    begun(tmp_path, runner)
    with (tmp_path / path).open("a", encoding="utf-8") as file:
        file.write("# more\n")
    with pytest.raises(RetuneError, match=message):
        search(tmp_path, runner).attempt("a", BETTER)
    with pytest.raises(RetuneError, match=message):
        search(tmp_path, runner).end()


@pytest.mark.parametrize(
    ("tries", "seeds", "message"),
    [
        pytest.param(0, "1,2,3", "--tries 0: give the number of tries, 1 or more", id="N10 no try"),
        pytest.param(5, "1,2", "--seeds 1,2: the noise of seeds is unknown with fewer than 3",
                     id="N10 two seeds"),
    ],
)  # fmt: skip
def test_a_plan_that_shows_no_noise_is_refused(
    tries: int, seeds: str, message: str, tmp_path: Path, runner: FakeRunner
) -> None:
    with pytest.raises(RetuneError, match=message):
        search(project(tmp_path), runner).begin(tries, seeds, "f1")


def test_n11_questions_that_show_no_noise_are_refused(tmp_path: Path, runner: FakeRunner) -> None:
    runner.passages = 0
    with pytest.raises(RetuneError, match=r"no validation questions; set qa.download.validation_s"):
        begun(tmp_path, runner)
    runner.passages = 1
    with pytest.raises(RetuneError, match="all validation questions are about one passage"):
        search(tmp_path, runner).begin(5, "1,2,3", "f1")


def test_n12_scores_that_were_exchanged_are_refused(tmp_path: Path, runner: FakeRunner) -> None:
    begun(tmp_path, runner)
    runner.exchanged = "base"
    with pytest.raises(RetuneError, match="scores of base in DVC's cache are not those in the led"):
        search(tmp_path, runner).attempt("a", BETTER)


def test_n12_seeds_that_answered_different_questions_are_refused() -> None:
    runs = FakeRunner().run("a", {}, [1, 2], "validation")
    with pytest.raises(RetuneError, match="the seeds of one setting answered different questions"):
        _ = Runs([runs.scores[0], runs.scores[1][1:]], runs.sums, "").questions


def test_n13_no_search_and_two_searches_are_errors(tmp_path: Path, runner: FakeRunner) -> None:
    project(tmp_path)
    with pytest.raises(RetuneError, match=r"there is no search yet; `retune try --begin --tries 2"):
        _ = search(tmp_path, runner).state
    search(tmp_path, runner).begin(5, "1,2,3", "f1")
    with pytest.raises(RetuneError, match="a search is open; `retune try --end` ends it"):
        search(tmp_path, runner).begin(5, "1,2,3", "f1")
