from typing import Any

from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.leaking import NamedSplit, find_leaks
from retune.tasks.qa.download.reading import Record


def check(name: str, *rows: dict[str, Any]) -> NamedSplit:
    checker = Checker(Rules(squad_v2=True, realign=False, drop_unanswerable=False))
    checker.add(Record("f.json", f"/{number}", values, {}) for number, values in enumerate(rows))
    return NamedSplit(name, checker)


def row(name: str, context: str, question: str = "What?") -> dict[str, Any]:
    return {"id": name, "context": context, "question": question, "answers": []}


def test_shared_ids_are_errors_and_shared_contexts_unless_allowed() -> None:
    train = check("train", row("q1", "abc"), row("q2", "other"))
    test = check("test", row("q3", "abc"), row("q4", "abc", "Why?"), row("q2", "third"))
    for allowed, severity in ((False, "error"), (True, "note")):
        context, shared_id = find_leaks(train, test, allow_contexts=allowed)
        assert (context.kind, context.severity, context.id) == ("shared_context", severity, "q3")
        assert "with 2 questions in test, is also in train (question 'q1')" in context.message
        assert ("qa.download.shared_contexts: allow" in context.message) is not allowed
        assert (shared_id.kind, shared_id.severity) == ("shared_id", "error")
        assert (shared_id.where, shared_id.id) == ("/2/id", "q2")
        assert "this id of test is also in train, at f.json: /1" in shared_id.message


def test_splits_without_anything_in_common_have_no_leaks() -> None:
    pair = check("validation", row("q1", "abc")), check("test", row("q2", "def"))
    assert find_leaks(*pair, allow_contexts=False) == []
