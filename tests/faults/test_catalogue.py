"""Every fault of the catalogue has a row in a test table, and one in docs/faults."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {
    "P": 24, "D": 14, "R": 25, "A": 20, "K": 16, "T": 25, "Q": 15, "S": 12, "V": 18,
    "C": 10, "B": 16, "L": 22, "M": 41,
}  # fmt: skip
CODES = [
    f"{letter}{number:02}" for letter, last in SECTIONS.items() for number in range(1, last + 1)
]
# A `pytest.param` whose id begins with the code, or a test of one case whose name does.
ROW_OF_A_TEST = re.compile(r"[\[-]([A-Z]\d\d)[ \]]|::test_([a-z]\d\d)_")
ROW_OF_A_TABLE = re.compile(r"^\| ([A-Z]\d\d) \| [^|\s][^|]* \| [^|\s].* \|$", re.MULTILINE)


def codes_tested() -> set[str]:
    """The codes that the ids of the tests here begin with."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/faults"],
        cwd=ROOT, env=os.environ | {"PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {(a or b).upper() for a, b in ROW_OF_A_TEST.findall(done.stdout)}


def codes_documented() -> list[str]:
    """The codes of all rows in the docs, as often as they stand there."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/faults/*.md")))
    return [code for text in texts for code in ROW_OF_A_TABLE.findall(text)]


def test_every_fault_has_a_test_and_no_test_is_of_an_unknown_one() -> None:
    assert codes_tested() == set(CODES)


def test_every_fault_is_told_once_in_the_docs() -> None:
    assert sorted(codes_documented()) == sorted(CODES)


def test_the_catalogue_has_258_faults() -> None:
    assert len(set(CODES)) == 258
