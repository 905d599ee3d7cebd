"""A search: its plan, its tries, the verdict on each, and the look at test that ends it."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.stats.noise_floor import Gain, gain, run_means
from retune.tools.compare.clustering import clusters_of
from retune.tools.experiments.grid import grid
from retune.tools.tries.ledger import Entry, Ledger
from retune.tools.tries.looks import Scored, outside
from retune.tools.tries.plan import Metric, Plan, require_allowed
from retune.tools.tries.runs import Runner, Runs
from retune.tools.tries.state import BASE, TEST, State

NOTHING = "nothing-kept"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_BEGIN = "`retune try --begin --tries 20 --seeds 1,2,3` begins one"
_ENDED = f"the search has ended; {_BEGIN}"
_DIGITS = 8  # of an entry's hash, in the names of its experiments


class Search:
    """The searches of a project.

    Args:
        folder: of the project.
        runner: runs settings.
        looks: returns what was scored on which validation questions.

    Raises:
        RetuneError: the ledger was changed.
    """

    def __init__(self, folder: Path, runner: Runner, looks: Callable[[], Scored]) -> None:
        self._folder, self._runner, self._looks = folder, runner, looks
        self.ledger = Ledger(folder)

    @property
    def state(self) -> State:
        """The last search.

        Raises:
            RetuneError: there is none.
        """
        found = State.read(self.ledger.entries)
        if found is None:
            raise RetuneError(f"there is no search yet; {_BEGIN}")
        return found

    def begin(self, tries: int, seeds: str, metric: Metric) -> Entry:
        """Fix the plan of a new search, run the base, and return its result.

        Raises:
            RetuneError: a search is open, or the plan is not allowed, or a run failed.
        """
        state = State.read(self.ledger.entries)
        if state is not None and state.final is None and (state.results or state.ended):
            raise RetuneError("a search is open; `retune try --end` ends it")
        known = {scores for scores, _ in self._looks()}
        plan = Plan.made(self._folder, tries, seeds, metric, sorted(known))
        opened = state.open_as(BASE) if state else None
        if state is not None and opened is not None:
            plan = _same(state.plan, plan)
            plan.require_unchanged(self._folder)
        else:
            self._runner.check({}, plan.seeds, plan.split)
            opened = self.ledger.append("plan", name=BASE, plan=plan.as_json())
        runs = self._run(plan, opened, BASE, {})
        about = _about(runs, plan)
        if len(clusters_of(runs.scores[0], "passage")) < 2:
            raise RetuneError("all validation questions are about one passage; bring others, too")
        return self._record(opened, {}, **about, verdict=BASE)

    def attempt(self, name: str, assignments: Sequence[str]) -> Entry:
        """Run a try with each seed, compare it with the best so far, and return the result.

        Raises:
            RetuneError: the plan does not allow it, or a run failed.
        """
        state, changes = self._running(), _changes(assignments)
        plan, best = state.plan, state.best
        plan.require_unchanged(self._folder)
        settings = {**best["changes"], **changes}
        opened = state.open_as(name)
        if opened is None:
            _require_free(name, state)
            self._runner.check(settings, plan.seeds, plan.split)
            opened = self.ledger.append("try", name=name, changes=changes)
        elif opened["changes"] != changes:
            raise RetuneError(
                f"{name} has begun with {said(opened['changes'])}; give the same changes to go on "
                "with it, or another name"
            )
        runs = self._run(plan, opened, name, settings)
        about = _about(runs, plan)
        _require_same(about["questions"], best["questions"], name, plan.split)
        found = self._gain(runs, best, state)
        seen = outside(self._looks(), {*plan.known}, state.sums | {*runs.sums})
        tests = plan.tries + len(seen)
        return self._record(
            opened, settings, **about, against=best["name"], **_figures(found), tests=tests,
            outside=seen, verdict="kept" if found.p_value * tests < plan.level else "dropped",
        )  # fmt: skip

    def end(self) -> Entry:
        """Score the base and what was kept on test, once, close the ledger, return the result.

        Raises:
            RetuneError: the search has ended, or a run failed.
        """
        state = self.state
        if state.final is not None:
            raise RetuneError(_ENDED)
        plan = state.plan
        plan.require_unchanged(self._folder)
        opened = state.open_as(TEST) or self.ledger.append("end", name=TEST)
        if not state.results:
            return self._record(opened, {}, verdict=NOTHING)
        best = state.best
        base = self._run(plan, opened, f"{TEST}-{BASE}", {}, TEST)
        about = {"base": run_means(base.percent(plan.metric)), "folder": base.folder}
        if best["name"] == BASE:
            return self._record(opened, {}, **about, verdict=NOTHING)
        runs = self._run(plan, opened, f"{TEST}-{best['name']}", best["changes"], TEST)
        _require_same(runs.questions, base.questions, best["name"], TEST)
        clusters = clusters_of(base.scores[0], "passage")
        found = gain(base.percent(plan.metric), runs.percent(plan.metric), clusters)
        return self._record(
            opened, best["changes"], **about, **_about(runs, plan), kept=best["name"],
            **_final(found, plan.level),
        )  # fmt: skip

    def _running(self) -> State:
        """Return the search, if tries may be added to it."""
        state = self.state
        if state.ended:
            raise RetuneError(_ENDED)
        if not state.results:
            raise RetuneError("the base of the search has not run; give `retune try --begin` again")
        return state

    def _run(
        self, plan: Plan, opened: Entry, name: str, changes: Mapping[str, str], split: str = ""
    ) -> Runs:
        unique = f"{name}-{opened['sha256'][:_DIGITS]}"
        return self._runner.run(unique, changes, plan.seeds, split or plan.split)

    def _gain(self, runs: Runs, best: Entry, state: State) -> Gain:
        """Return the gain over the best so far, whose scores are read again."""
        plan = state.plan
        unique = f"{best['name']}-{best['of'][:_DIGITS]}"
        base = self._runner.run(unique, best["changes"], plan.seeds, plan.split)
        percent = base.percent(plan.metric)
        if run_means(percent) != best["means"] or base.questions != best["questions"]:
            raise RetuneError(
                f"the scores of {best['name']} in DVC's cache are not those in the ledger; the "
                "experiments of a search must stay as they are"
            )
        others = [each["means"] for each in state.results if each is not best]
        clusters = clusters_of(base.scores[0], "passage")
        return gain(percent, runs.percent(plan.metric), clusters, others)

    def _record(self, opened: Entry, changes: Mapping[str, str], **content: Any) -> Entry:
        return self.ledger.append(
            "result", of=opened["sha256"], name=opened["name"], changes=dict(changes), **content
        )


def _about(runs: Runs, plan: Plan) -> dict[str, Any]:
    """Return what a ledger keeps of a setting's runs."""
    return {
        "questions": runs.questions,
        "scores": list(runs.sums),
        "means": run_means(runs.percent(plan.metric)),
    }


def _figures(found: Gain) -> dict[str, Any]:
    return {
        "value": found.value,
        "error": found.error,
        "degrees": found.degrees,
        "interval": list(found.interval),
        "p_value": found.p_value,
    }


def _final(found: Gain, level: float) -> dict[str, Any]:
    """Return figures and verdict on test, where a change may also be worse."""
    shown = "better" if found.value > 0 else "worse"
    p_value = found.two_sided
    verdict = shown if p_value < level else "not-separable"
    return {**_figures(found), "p_value": p_value, "verdict": verdict}


def _changes(assignments: Sequence[str]) -> dict[str, str]:
    """Return the changes of a try by dotted name, as they were typed."""
    points = grid(assignments)
    if len(points) != 1:
        raise RetuneError(
            f"a try is one setting, but {' '.join(assignments)} gives {len(points)}; give each key "
            "one value"
        )
    require_allowed([*points[0].changes])
    return {key: str(value) for key, value in points[0].changes.items()}


def _require_free(name: str, state: State) -> None:
    """Refuse a try whose name is taken or not allowed, or for which nothing is left.

    Raises:
        RetuneError: so it is.
    """
    if len(state.tries) >= state.plan.tries:
        raise RetuneError(
            f"the budget is used ({len(state.tries)} of {state.plan.tries} tries); `retune try "
            "--end` scores the best on test"
        )
    if name in {BASE, TEST, *(entry["name"] for entry in state.tries)}:
        raise RetuneError(f"{name}: the ledger has an entry of that name; give another one")
    if not _NAME.fullmatch(name):
        raise RetuneError(
            f"{name!r} is no name for a try; allowed: up to 40 letters, digits, `.`, `_` and `-`"
        )


def _require_same(questions: str, others: str, name: str, split: str) -> None:
    """Refuse to compare settings that answered different questions.

    Raises:
        RetuneError: they did.
    """
    if questions != others:
        raise RetuneError(
            f"{name} was scored on other {split} questions than what it is compared with; a try "
            "must not change them"
        )


def _same(begun: Plan, given: Plan) -> Plan:
    """Return the plan of an interrupted `--begin`.

    Raises:
        RetuneError: the command line asks for another one.
    """
    one, other = ((plan.tries, plan.seeds, plan.metric) for plan in (begun, given))
    if one != other:
        seeds = ",".join(map(str, begun.seeds))
        raise RetuneError(
            f"a search has begun with --tries {begun.tries} --seeds {seeds} --metric "
            f"{begun.metric}; give the same values to go on with it, or end it with "
            "`retune try --end`"
        )
    return begun


def said(changes: Mapping[str, str]) -> str:
    """Return changes as they are given on the command line."""
    return " ".join(f"{key}={value}" for key, value in changes.items())
