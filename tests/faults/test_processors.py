"""The same logits give the same bytes on processors with other instructions."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from runs import row, run_download, run_tokenize, write_logits

from retune.tasks.qa.windows.features import count_windows

RUN = """
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = sys.argv[1:3]
from runs import run_postprocess

for squad_v2 in (False, True):
    run_postprocess(Path(f"{sys.argv[3]} {squad_v2}"), squad_v2, n_best=20)
print(*np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))
"""


@pytest.fixture
def logits(tmp_path: Path) -> list[Path]:
    """A run of each kind whose logits have many ties, as those of a model of few bits."""
    folders = [tmp_path / f"run {squad_v2}" for squad_v2 in (False, True)]
    rows = [row(f"q{n}", f"{n} {' '.join(tiny.TEXTS * 2)}", "Vik") for n in range(60)]
    for folder, squad_v2 in zip(folders, (False, True), strict=True):
        run_download(folder, [row("t", "something else", "else")], rows, squad_v2=squad_v2)
        run_tokenize(folder, squad_v2=squad_v2)
        tokens = count_windows(folder / "features" / "test.arrow")["tokens"]
        rng = np.random.default_rng(0)
        values = rng.integers(-6, 6, (tokens, 2)) / 4 + (rng.random((tokens, 2)) < 0.02)
        write_logits(folder, values)
    return folders


def answered(folders: list[Path], root: Path, **environment: str) -> tuple[list[str], list[bytes]]:
    """Which features numpy uses in a process of its own, and the bytes that it writes."""
    tests = root / "tests"
    name = str(folders[0]).removesuffix(" False")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tests), str(tests / "faults"), name],
        env=os.environ | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = [f / "predictions" for f in folders]
    return done.stdout.split(), [p.read_bytes() for f in files for p in sorted(f.iterdir())]


def test_the_same_logits_give_the_same_bytes_on_other_processors(
    root: Path, logits: list[Path]
) -> None:
    features, expected = answered(logits, root)
    if not features:
        pytest.skip("numpy knows no instructions here that could be left out")
    assert len(expected) == 6
    for count in range(len(features)):
        off = {"NPY_DISABLE_CPU_FEATURES": " ".join(features[count:])}
        left, found = answered(logits, root, **off, ARROW_USER_SIMD_LEVEL="NONE")
        assert left == features[:count]
        assert found == expected


def test_there_are_ties_to_be_broken(logits: list[Path]) -> None:
    """Or the test above would prove nothing."""
    values = np.load(logits[0] / "logits" / "logits.npy")
    best = np.sort(values[:120, 0])[-20:]
    assert len(set(best.tolist())) < 10
