"""Reports that would mislead: rows R31 to R34 and R72."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from retune.core.artifacts import sealed
from retune.core.errors import RetuneError
from retune.core.user_errors import guarded
from retune.tools.cli.main import main
from retune.tools.data_doctor.doctor import Options, diagnose

SRC = Path(__file__).resolve().parents[2] / "src" / "retune"


def found(folder: Path, value: Any) -> list[tuple[str, str]]:
    path = folder / "f.json"
    path.write_text(json.dumps(value))
    (examined,) = diagnose([path], [], Options())
    return [(finding.kind, finding.message) for finding in examined.findings]


@pytest.mark.parametrize(
    ("letters", "mixed"),
    [
        pytest.param("\u0958 \u095e \u0929", False, id="R31 Hindi letters that NFC takes apart"),
        pytest.param("\u0648\u0651\u064e \u0622", False, id="R31 Arabic marks as they are typed"),
        pytest.param("\u0929 \u0928\u093c", True, id="R31 a Hindi letter and its mark apart"),
        pytest.param("caf\u00e9 cafe\u0301", True, id="R31 accents apart and composed"),
        pytest.param("\uac00 \u1100\u1161", True, id="R31 Hangul apart and composed"),
        pytest.param("cafe\u0301", False, id="R31 accents apart throughout"),
    ],
)
def test_letters_apart_are_pairs_that_could_be_composed(
    tmp_path: Path, letters: str, mixed: bool
) -> None:
    question = {"id": "q1", "context": f"a {letters}", "question": "?"}
    kinds = found(tmp_path, [question | {"answers": [{"text": "a", "answer_start": 0}]}])
    assert [kind for kind, _ in kinds] == ["unicode_mix"] * mixed


def test_r72_integers_as_ids_and_decimal_offsets_are_two_causes(tmp_path: Path) -> None:
    rows = [
        {"id": 100 + n, "context": f"a b {n}", "question": f"{n}?",
         "answers": [{"text": "b", "answer_start": 2.0}]}
        for n in range(9)
    ]  # fmt: skip
    assert found(tmp_path, rows) == [
        ("converted", "the answer_start 2.0 (float) is not an integer; at 9 places, the first "
         "/0/answers/0/answer_start"),
        ("converted", "100 (int) is not a string; at 9 places, the first /0/id"),
    ]  # fmt: skip


def test_r32_one_cause_is_one_finding_however_many_places_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = [
        {"passage_of": "abc", "qas": [{"ask": "?", "answers": ["x", f"y{number}"]}]}
        for number in range(30)
    ]
    kinds = sorted(found(tmp_path, data))
    assert [(kind, re.sub(r"; at .*", "", message)) for kind, message in kinds] == [
        ("bare_list", "no object with `data` around the articles"),
        ("missing_field", "no `context`"),
        ("missing_field", "no `id`"),
        ("missing_field", "no `question`"),
        ("mixed_layout", "other levels than articles > paragraphs > questions, from here on"),
        ("wrong_type", "'x' (str) is not an object with `text` and `answer_start`"),
    ]
    assert kinds[5][1].endswith("; at 60 places, the first /0/qas/0/answers/0")
    main(["doctor", str(tmp_path / "f.json"), "--json", "--all"])
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 30 * 5 + 2


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [(["doctor", "--kinds"], ""), (["doctor", "--kinds"], "1"), (["--help"], "")],
)
def test_r33_a_reader_that_leaves_ends_a_command_in_silence(
    arguments: list[str], unbuffered: str
) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "retune.tools.cli.main", *arguments], stdout=output,
            stderr=subprocess.PIPE, check=False,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": str(SRC.parent)},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (141, b"")


def test_r33_another_broken_pipe_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    assert guarded(write, "retune") == 1
    assert capsys.readouterr().err == "retune: error: Broken pipe\n"


def test_r34_predictions_of_ones_own_are_to_be_kept(tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "predictions.json").write_text("{}")
    with (
        pytest.raises(RetuneError, match="Move files of your own to another folder") as error,
        sealed({}, reads={"predictions": folder}, writes={}),
    ):
        pass
    assert not re.search(r"\brm\b|remove|delete|empty", str(error.value))


def test_r34_no_message_advises_to_delete_folders_or_the_cache() -> None:
    advice = re.compile(r"rm -r|remove \{|empty DVC's|delete it and run|gc --workspace`")
    texts = {path: path.read_text(encoding="utf-8") for path in SRC.rglob("*.py")}
    assert [path.name for path, text in texts.items() if advice.search(text)] == [
        "hub_snapshots.py"  # a damaged file of the hub's cache
    ]
