from typing import Any

import pytest

from retune.core.errors import RetuneError
from retune.ingest.findings import Finding, raise_errors


def finding(number: int, severity: Any = "error", kind: str = "misaligned") -> Finding:
    return Finding(kind, severity, "f.json", f"/{number}", f"q{number}", "is wrong")


def test_the_message_counts_all_errors_and_shows_twenty_in_file_order() -> None:
    findings = [finding(n) for n in range(1234)] + [finding(7, kind="empty_field")]
    with pytest.raises(RetuneError) as error:
        raise_errors([finding(0, "note"), *findings])
    lines = str(error.value).split("\n")
    first = "1,235 errors in the data (1 empty_field, 1,234 misaligned); nothing was written"
    assert lines[0] == first
    assert lines[1] == "  f.json: /0 (question 'q0'): is wrong"
    assert lines[20] == "  f.json: /19 (question 'q19'): is wrong"
    assert lines[21:] == ["  and 1,215 more"]


def test_notes_raise_nothing() -> None:
    raise_errors([finding(0, "note")])


def test_one_error_is_not_many() -> None:
    with pytest.raises(RetuneError, match=r"^1 error in the data \(1 misaligned\)"):
        raise_errors([finding(0)])
