"""The output of `retune why`."""

import contextlib
import difflib
import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from retune.core.errors import RetuneError, listed
from retune.core.terminal_text import escaped, escaped_json
from retune.tools.why.history import History
from retune.tools.why.reasons import MAY, RESTORE, RUN, SAME, Graph, Reason

_WIDTH = 80


def run(stage: str | None, *, as_json: bool) -> int:
    """Print why a stage of this project, or each stage, would run again; return 0.

    Raises:
        RetuneError: there is no such stage, or a file of the project cannot be read.
    """
    root = Path()
    with contextlib.ExitStack() as stack:
        try:
            history = stack.enter_context(History(root))
        except (RetuneError, FileNotFoundError):
            history = None
        graph = Graph(root, history)
        names = chosen(list(graph.stages), stage) if stage else list(graph.stages)
        if as_json:
            print(escaped_json(json.dumps([_as_json(graph, name) for name in names], indent=2)))
        elif stage:
            _print_reasons(graph, names)
        else:
            for name in names:
                print(escaped(overview(name, graph.verdict(name), graph.reasons(name))))
    return 0


def chosen(names: Sequence[str], asked: str) -> list[str]:
    """Return the stage of this name, or all items of a `matrix` or `foreach` stage.

    Raises:
        RetuneError: there is no such stage.
    """
    if found := [name for name in names if asked in (name, name.partition("@")[0])]:
        return found
    plain = asked.partition("@")[0]
    items = [name for name in names if "@" in asked and name.startswith(f"{plain}@")]
    allowed = items or list(dict.fromkeys(name.partition("@")[0] for name in names))
    nearest = difflib.get_close_matches(asked, [*allowed, *names], n=1)
    hint = f", did you mean `{nearest[0]}`?" if nearest else ""
    raise RetuneError(f"dvc.yaml: no stage `{asked}`{hint} (allowed: {listed(allowed)})")


def overview(name: str, verdict: str, reasons: Sequence[Reason]) -> str:
    """Return one line about a stage, with as many of its reasons as fit."""
    if not reasons:
        return f"{name}: {verdict}"
    subjects = list(dict.fromkeys(reason.subject for reason in reasons))
    if reasons[0].kind == "never":
        return f"{name}: has never run"
    lines = [f"{name}: {verdict}: {listed(subjects, n)}" for n in range(1, len(subjects) + 1)]
    return next((line for line in reversed(lines) if len(line) <= _WIDTH), lines[0])


def _print_reasons(graph: Graph, names: Sequence[str]) -> None:
    """Print the reasons of stages; stages with the same reasons share one entry."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        texts = [reason.text for reason in graph.reasons(name)]
        if len(names) > 1:
            texts = [_of_any_item(text, name) for text in texts]
        groups.setdefault((graph.verdict(name), *texts), []).append(name)
    for (verdict, *lines), members in groups.items():
        _print_wrapped(_heading(verdict, members), "")
        for line in lines:
            _print_wrapped(line, "  ")


def _of_any_item(text: str, name: str) -> str:
    """Replace `bert` and `1` in a reason of `train@bert-1` by `*`, so that items can share it."""
    words = "|".join(map(re.escape, name.partition("@")[2].split("-")))
    return re.sub(rf"(?<=[/@-])(?:{words})(?=[/\s:,-]|$)", "*", text) if words else text


def _heading(verdict: str, names: Sequence[str]) -> str:
    who = listed(list(names), 6)
    several = len(names) > 1
    return {
        SAME: f"{who} {'are' if several else 'is'} up to date",
        RESTORE: f"{who} would not run again, but outputs are missing:",
        MAY: f"{who} may run again:",
        RUN: f"{who} would run again:",
    }[verdict]


def _print_wrapped(text: str, indent: str) -> None:
    lines = textwrap.wrap(
        escaped(text), _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    print("\n".join(lines))


def _as_json(graph: Graph, name: str) -> dict[str, object]:
    reasons = [
        {"kind": reason.kind, "subject": reason.subject, "text": reason.text, **reason.details}
        for reason in graph.reasons(name)
    ]
    return {"stage": name, "verdict": graph.verdict(name), "reasons": reasons}
