from typing import Any

from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.leaking import find_leaks
from retune.tasks.qa.download.reading import Record


def check(*rows: dict[str, Any]) -> Checker:
    checker = Checker(Rules(squad_v2=True, realign=False, drop_unanswerable=False))
    checker.add(Record("f.json", f"/{number}", values, {}) for number, values in enumerate(rows))
    return checker


def row(name: str, context: str, question: str = "What?") -> dict[str, Any]:
    return {"id": name, "context": context, "question": question, "answers": []}


def test_shared_ids_are_errors_and_shared_contexts_unless_allowed() -> None:
    train = check(row("q1", "abc"), row("q2", "other"))
    validation = check(row("q3", "abc"), row("q4", "abc", "Why?"), row("q2", "third"))
    for allowed, severity in ((False, "error"), (True, "note")):
        context, shared_id = find_leaks(train, validation, allow_contexts=allowed)
        assert (context.kind, context.severity, context.id) == ("shared_context", severity, "q3")
        assert "with 2 questions here, is also in train (question 'q1')" in context.message
        assert ("qa.download.shared_contexts: allow" in context.message) is not allowed
        assert (shared_id.kind, shared_id.severity) == ("shared_id", "error")
        assert (shared_id.where, shared_id.id) == ("/2/id", "q2")
        assert "the id is also in train, at f.json: /1" in shared_id.message


def test_splits_without_anything_in_common_have_no_leaks() -> None:
    assert find_leaks(check(row("q1", "abc")), check(row("q2", "def")), allow_contexts=False) == []
