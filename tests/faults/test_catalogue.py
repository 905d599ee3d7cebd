"""Every fault of the catalogue has a row in a test table, and one in docs/faults."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {"P": 24, "D": 14, "R": 25, "A": 20, "K": 16, "T": 25, "Q": 15, "S": 12, "V": 18}
CODES = [
    f"{letter}{number:02}" for letter, last in SECTIONS.items() for number in range(1, last + 1)
]
ROW_OF_A_TEST = re.compile(r'\bid=f?"([A-Z]\d\d) [^"]')
ROW_OF_A_TABLE = re.compile(r"^\| ([A-Z]\d\d) \| [^|\s][^|]* \| [^|\s].* \|$", re.MULTILINE)


def found(pattern: re.Pattern[str], files: str) -> list[str]:
    """The codes of all rows in the files, in their order, as often as they stand there."""
    paths = sorted(ROOT.glob(files))
    return [code for path in paths for code in pattern.findall(path.read_text(encoding="utf-8"))]


TESTED = found(ROW_OF_A_TEST, "tests/faults/test_*_faults.py")
DOCUMENTED = found(ROW_OF_A_TABLE, "docs/faults/*.md")


def test_the_catalogue_has_169_faults() -> None:
    assert len(set(CODES)) == 169


@pytest.mark.parametrize("code", CODES)
def test_a_fault_has_a_test_and_a_row_in_the_docs(code: str) -> None:
    lacks = [
        what
        for what, codes in (
            ('a row (id="CODE ...") in tests/faults/test_*_faults.py', TESTED),
            ("a row (| CODE | fault | what happens |) in docs/faults", DOCUMENTED),
        )
        if code not in codes
    ]
    assert not lacks, f"{code} lacks {' and '.join(lacks)}"


def test_no_row_is_of_an_unknown_code() -> None:
    assert {*TESTED, *DOCUMENTED} <= {*CODES}


def test_each_code_is_told_once_in_the_docs() -> None:
    assert sorted(DOCUMENTED) == sorted(set(DOCUMENTED))
