"""What reaches the terminal: escaped, cut, and one message for each kind of failure."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from test_pretrained_files import FakeHub, encoder, fake_hub, hub, hub_cache  # noqa: F401 (fixtures)

from retune.core.errors import RetuneError
from retune.core.files import write_json
from retune.core.out_of_memory import is_out_of_memory
from retune.core.terminal_text import Parser, cut, escaped, escaped_json
from retune.core.user_errors import guarded
from retune.models.pretrained_files import resolve
from retune.preflight.validation import require_valid
from retune.tables.terminal_tables import print_table
from retune.tasks.language_model.generate.pieces import Piece
from retune.tasks.language_model.plots.coloured import terminal
from retune.tools.cli import main

ROOT = Path(__file__).resolve().parents[2]

EVIL = "a\x1b[2J\u202eb\x9bc\r\u2028\U000e0041"
SHOWN = r"a\x1b[2J\u202eb\x9bc\x0d\u2028\U000e0041"


def failing(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


def test_r63_an_error_shows_escape_codes_and_direction_marks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert guarded(failing(RetuneError(EVIL)), EVIL[0]) == 1
    assert capsys.readouterr().err == f"a: error: {SHOWN}\n"
    assert guarded(failing(FileNotFoundError(2, "No such file", EVIL)), "a") == 1
    assert capsys.readouterr().err == f"a: error: {SHOWN}: No such file\n"


def test_r63_letters_of_every_script_stay_as_they_are() -> None:
    text = "naïve\tЩит\nभाषा 漢字 می‌خواهم 🙂 עברית"
    assert escaped(text) == escaped_json(text) == cut(text) == text


def test_r63_json_has_the_same_value() -> None:
    text = json.dumps(EVIL, ensure_ascii=False)
    assert json.loads(escaped_json(text)) == EVIL
    assert escaped_json(text).isascii()


def test_r63_an_argument_is_shown_likewise(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["doctor", f"--{EVIL}"])
    assert SHOWN in capsys.readouterr().err
    parser: argparse.ArgumentParser = Parser("x")
    with pytest.raises(SystemExit):
        parser.parse_args(["y" * 400_000])
    assert len(capsys.readouterr().err) < 1500


def test_r63_doctor_table_and_coloured_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny.squad(range(1))
    data["data"][0]["paragraphs"][0]["qas"][0]["id"] = EVIL
    data["data"][0]["paragraphs"][0]["qas"][0]["answers"] = []
    write_json(tmp_path / f"{EVIL}.json", data)
    assert main.main(["doctor", str(tmp_path / f"{EVIL}.json")]) == 1
    print_table(["name"], [], [[EVIL]])
    printed = capsys.readouterr().out
    assert r"\x1b[2J\u202e" in printed
    assert not {"\x1b", "\u202e", "\x9b"} & set(printed)
    shown = terminal("\u202e", [Piece("\u2066x", [0.5])]).plain
    assert shown == r"\u202e\u2066x"


def test_p43_an_error_that_quotes_400_kilobytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(failing(RetuneError(f"begin {'x' * 400_000} end: do this")), "a") == 1
    said = capsys.readouterr().err
    assert len(said) < 1500
    assert said.startswith("a: error: begin xxx")
    assert " characters left out ... " in said
    assert said.endswith("end: do this\n")


def test_p44_an_error_of_thousands_of_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "params.yaml"
    known = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path.write_text(known + "".join(f"  k{n}: 1\n" for n in range(3000)), encoding="utf-8")
    assert guarded(lambda: require_valid(ROOT, path), "a") == 1
    said = capsys.readouterr().err
    assert len(said) < 12_500
    assert said.count("\n") == 31
    assert "... 2,970 more lines ..." in said
    assert "k2999: unknown key" in said


ALLOCATORS = [
    pytest.param(lambda: np.empty(2**55), ": 256 PiB more", id="V45 numpy"),
    pytest.param(lambda: torch.empty(2**50), "4,503,599.63 GB", id="V45 torch"),
    pytest.param(failing(MemoryError()), "not enough memory", id="V45 Python"),
    pytest.param(
        failing(RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.")), "20.00 MiB more",
        id="V45 GPU",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("action", "amount"), ALLOCATORS)
def test_too_little_memory_is_a_message(
    action: Callable[[], object], amount: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(action, "a") == 1
    said = capsys.readouterr().err
    assert said.startswith("a: error: not enough memory")
    assert amount in said
    assert "Lower batch_size, max_length or the limits" in said


def test_v45_other_errors_stay_what_they_are() -> None:
    assert not is_out_of_memory(RuntimeError("size mismatch"))
    with pytest.raises(RuntimeError, match="size mismatch"):
        guarded(failing(RuntimeError("size mismatch")), "a")


def test_v46_a_panic_of_a_library_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    panic = type("PanicException", (BaseException,), {})
    assert guarded(failing(panic("index out of bounds")), "a") == 1
    assert "a library failed (index out of bounds); a file" in capsys.readouterr().err


def test_d44_a_hub_that_lists_files_of_other_folders(
    hub_cache: Path,  # noqa: F811
    fake_hub: type[FakeHub],  # noqa: F811
) -> None:
    fake_hub.files["../evil.model"] = b"x"
    fake_hub.sums["../evil.model"] = "0" * 64
    with pytest.raises(RetuneError, match=r"the hub's answer for owner/name cannot be used"):
        resolve(hub())
    assert not list(hub_cache.parent.rglob("evil.model"))


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        pytest.param(f'"1", "answers": [{{"text": "a", "answer_start": {10**4000}}}]',
                     ["misaligned"], id="R71 an offset of 4,001 digits"),
        pytest.param(f'{10**4000}, "answers": [{{"text": "a b", "answer_start": 0}}]',
                     ["bad_id", "converted"], id="R71 an id of 4,001 digits"),
        pytest.param(f'"1", "answers": [{{"text": "{"x" * 9000}", "answer_start": 0}}]',
                     ["misaligned"], id="R71 an answer of 9,000 characters"),
    ],
)  # fmt: skip
def test_the_doctor_cuts_what_it_quotes(
    content: str, kinds: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.json"
    path.write_text(f'[{{"context": "a b", "question": "q", "id": {content}}}]')
    main.main(["doctor", str(path)])
    shown = capsys.readouterr().out
    assert len(shown) < 2500
    assert all(f"{kind}: " in shown for kind in kinds)


def test_r71_the_doctor_cuts_a_table_of_30000_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",".join(f"c{number}" for number in range(30_000)) + "\n")
    assert main.main(["doctor", str(path)]) == 2
    shown = capsys.readouterr().out
    assert "'c29' and 29970 more" in shown
    assert len(shown) < 1500
