"""The output of `retune try`."""

import json
import statistics
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from retune.core.errors import RetuneError, listed
from retune.core.files import locked
from retune.core.terminal_text import escaped, escaped_json
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tools.claims.looks import looks_at
from retune.tools.compare.systems import SCORES
from retune.tools.tries.ledger import LEDGER, Entry
from retune.tools.tries.looks import outside, scored
from retune.tools.tries.runs import DvcRunner
from retune.tools.tries.search import NOTHING, Search, said
from retune.tools.tries.state import BASE, TEST, State

#: Exit codes; 1 is for an error.
EXIT_CODES = {
    BASE: 0, "kept": 0, "better": 0, "dropped": 3, "worse": 3, "not-separable": 3, NOTHING: 3
}  # fmt: skip


def run(arguments: Namespace) -> int:
    """Begin or end a search, run a try, or list the tries; return the exit code of the verdict.

    Raises:
        RetuneError: the ledger was changed, the plan does not allow it, or a run failed.
    """
    with locked(Path(f".{LEDGER}.lock")):
        search = Search(Path(), DvcRunner(), lambda: scored(Path()))
        entry = _act(search, arguments)
    if entry is None:
        _list(search.state, arguments)
        return 0
    if arguments.json:
        print(escaped_json(json.dumps(entry, indent=2, ensure_ascii=False)))
    else:
        _explain(search.state, entry)
        print(verdict_line(search.state, entry))
    return EXIT_CODES[entry["verdict"]]


def _act(search: Search, arguments: Namespace) -> Entry | None:
    name, changes = arguments.name, arguments.changes
    if arguments.begin and arguments.end:
        raise RetuneError("--begin and --end exclude each other; give one of them")
    if name is not None and (arguments.begin or arguments.end):
        raise RetuneError("--begin and --end take no NAME and no changes")
    if arguments.begin:
        if arguments.tries is None or arguments.seeds is None:
            raise RetuneError("--begin needs the plan: --tries 20 --seeds 1,2,3")
        return search.begin(arguments.tries, arguments.seeds, arguments.metric or "f1")
    if any(each is not None for each in (arguments.tries, arguments.seeds, arguments.metric)):
        raise RetuneError("--tries, --seeds and --metric belong to --begin; the plan fixes them")
    if arguments.end:
        return search.end()
    if name is None:
        return None
    if not changes or "=" in name:
        raise RetuneError("a try needs a name and changes: retune try NAME KEY=VALUE")
    return search.attempt(name, changes)


def verdict_line(state: State, entry: Entry) -> str:
    """Return the verdict in the form that programs read."""
    line = f"VERDICT {entry['verdict']}"
    if "value" in entry:
        low, high = entry["interval"]
        p_value = min(1.0, entry["p_value"] * entry.get("tests", 1))
        gained = f"{state.plan.metric} {entry['value']:+.1f}"
        line += f" {gained} [{low:.1f}, {high:.1f}] p={p_value:.3g}"
    if entry["name"] == TEST:
        tests = {entry["folder"]: set[str]()} if "folder" in entry else {}
        return f"{line} looks={len(looks_at(tests, Path()))}"
    return f"{line} tries={len(state.tries)}/{state.plan.tries}"


def _explain(state: State, entry: Entry) -> None:
    plan, label = state.plan, SCORES[state.plan.metric]
    if entry["name"] == BASE:
        print_wrapped(
            f"The base has {label} {_mean(entry)} on {plan.split} over {len(plan.seeds)} seeds. "
            f"The search may try {plan.tries} settings."
        )
    elif entry["name"] == TEST:
        _explain_end(state, entry)
    else:
        low, high = entry["interval"]
        print_wrapped(escaped(
            f"{entry['name']}: {label} {_mean(entry)} on {plan.split}, {entry['value']:+.2f} over "
            f"{entry['against']} (95 %: {low:+.2f} to {high:+.2f}, standard error "
            f"{entry['error']:.2f}). p = {entry['p_value']:.2g}, times {entry['tests']} tries: "
            f"{min(1.0, entry['p_value'] * entry['tests']):.2g}; below {plan.level} is kept."
        ))  # fmt: skip
        _note_outside(entry["outside"])


def _explain_end(state: State, entry: Entry) -> None:
    if "base" not in entry:
        print_wrapped("The search ends without a run. The test questions were not looked at.")
        return
    label = SCORES[state.plan.metric]
    kept = sum(each["verdict"] == "kept" for each in state.results)
    print_wrapped(
        f"{len(state.tries)} of {state.plan.tries} tries, {kept} kept. On test the base has "
        f"{label} {statistics.fmean(entry['base']):.2f}."
    )
    if kept:
        print_wrapped(escaped(
            f"{entry['kept']} ({said(entry['changes'])}) has {label} {_mean(entry)} on test, "
            f"{entry['value']:+.2f} (p = {entry['p_value']:.2g}, one comparison)."
        ))  # fmt: skip


def _list(state: State, arguments: Namespace) -> None:
    if arguments.json:
        print(escaped_json(json.dumps(_as_json(state), indent=2, ensure_ascii=False)))
        return
    label = SCORES[state.plan.metric]
    results = {each["of"]: each for each in state.results}
    rows = [_row(state.results[0], "")] if state.results else []
    for entry in state.tries:
        if entry["sha256"] in results:
            rows.append(_row(results[entry["sha256"]], said(entry["changes"])))
        else:
            rows.append([entry["name"], said(entry["changes"]), "no result", *["-"] * 4])
    headings = [label, "sd", f"+{label}", "p adjusted"]
    print_table(["try", "changes", "verdict"], headings, rows)
    print_wrapped(_status(state))
    _note_outside(outside(scored(Path()), {*state.plan.known}, state.sums))


def _status(state: State) -> str:
    if state.final:
        return f"The search has ended: {state.final['verdict']}."
    if state.ended:
        return "The search has ended, but not its runs on test; give `retune try --end` again."
    tries = state.plan.tries
    return (
        f"{tries - len(state.tries)} of {tries} tries are left. A try is kept if its p-value, "
        f"times {tries} tries, is below {state.plan.level}."
    )


def _row(entry: Entry, changes: str) -> list[str]:
    cells = [entry["name"], changes, entry["verdict"], _mean(entry)]
    cells.append(f"{statistics.stdev(entry['means']):.2f}")
    if "value" not in entry:
        return [*cells, "-", "-"]
    adjusted = min(1.0, entry["p_value"] * entry["tests"])
    return [*cells, f"{entry['value']:+.2f}", f"{adjusted:.2g}"]


def _as_json(state: State) -> dict[str, object]:
    return {
        "plan": state.plan.as_json(),
        "tries": state.tries,
        "results": state.results,
        "final": state.final,
    }


def _mean(entry: Mapping[str, list[float]]) -> str:
    return f"{statistics.fmean(entry['means']):.2f}"


def _note_outside(scores: list[str]) -> None:
    if scores:
        print_wrapped(
            "note: runs that were scored on these validation questions since the search began, "
            f"but are in no result of the ledger (each counts as a try): {listed(scores, 5)}"
        )
