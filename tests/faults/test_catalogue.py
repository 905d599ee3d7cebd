"""Every fault of the catalogue has a row in a test table, and one in docs/faults."""

import re
from pathlib import Path

from stage_runs import run_module

ROOT = Path(__file__).resolve().parents[2]
#: The codes of each letter. Numbers may be left out, so that several people can add codes at once.
SECTIONS = {
    "P": "1-24 31-36 41-44 51-51 70-73 81-83",
    "D": "1-14 31-39 41-44 60-64",
    "R": "1-25 31-34 41-49 61-63 70-72",
    "A": "1-20 31-43 51-54 70-72",
    "K": "1-16 41-49 51-56 70-70",
    "T": "1-25 31-32",
    "Q": "1-15 31-38",
    "S": "1-12 31-31",
    "V": "1-18 31-36 41-46 51-55 60-64 81-94",
    "C": "1-10",
    "B": "1-16 31-35 51-60",
    "L": "1-22 31-35 41-45",
    "M": "1-41 51-54",
    "N": "1-13",
}  # fmt: skip
RANGES = [
    (letter, *map(int, bounds.split("-")))
    for letter, ranges in SECTIONS.items()
    for bounds in ranges.split()
]
CODES = [
    f"{letter}{number:02}" for letter, first, last in RANGES for number in range(first, last + 1)
]
# A `pytest.param` whose id begins with the code, or a test of one case whose name does.
ROW_OF_A_TEST = re.compile(r"[\[-]([A-Z]\d\d)[ \]]|::test_([a-z]\d\d)_")
ROW_OF_A_TABLE = re.compile(r"^\| ([A-Z]\d\d) \| [^|\s][^|]* \| [^|\s].* \|$", re.MULTILINE)


def codes_tested() -> set[str]:
    """The codes that the ids of the tests here begin with."""
    done = run_module("pytest", "--collect-only", "-q", "tests/faults", PYTEST_ADDOPTS="")
    assert done.returncode == 0, done.stdout
    return {(a or b).upper() for a, b in ROW_OF_A_TEST.findall(done.stdout)}


def codes_documented() -> list[str]:
    """The codes of all rows in the docs, as often as they stand there."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/faults/*.md")))
    return [code for text in texts for code in ROW_OF_A_TABLE.findall(text)]


def test_every_fault_has_a_test_and_no_test_is_of_an_unknown_one() -> None:
    assert codes_tested() == set(CODES)


def test_every_fault_is_told_once_in_the_docs() -> None:
    assert sorted(codes_documented()) == sorted(CODES)


def test_the_catalogue_has_438_faults() -> None:
    assert len(set(CODES)) == 438
