"""The command line of `retune`: its help, its errors and its options."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import retune
from retune.tools.cli.application import PANELS, app
from retune.tools.cli.main import ASKERS, main, read_command
from retune.tools.cli.version import version

COMMANDS = [
    info.name or info.callback.__name__ for info in app.registered_commands if info.callback
]


def shown(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code of a command line that runs no command, and what it prints."""
    with pytest.raises(SystemExit) as ended:
        main(argv)
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_help_lists_every_command_under_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = shown(["--help"], capsys)
    headings = [line.removesuffix(":") for line in text.splitlines() if line.endswith(":")]
    assert (code, headings) == (0, ["Options", *PANELS])
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    assert set(COMMANDS) <= set(listed)
    assert "..." not in text.partition("Data:")[2]  # no summary is cut


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_that_fits_a_terminal(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, text, _ = shown([command, "--help"], capsys)
    assert (code, f"  Example: retune {command}" in text) == (0, True)
    assert max(map(len, text.splitlines())) <= 80
    assert "<" not in text


def test_help_has_a_short_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(["diff", "-h"], capsys) == shown(["diff", "--help"], capsys)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, error = shown(["--version"], capsys)
    assert (code, error) == (0, "")
    known = (
        rf"retune {re.escape(retune.__version__)}( \(commit [0-9a-f]{{7,}}(, with changes)?\))?\n"
    )
    assert re.fullmatch(known, printed)


def test_the_version_has_the_commit_of_a_checkout_and_of_no_other(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", *identity, *words]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    plain = f"retune {retune.__version__}"
    package = tmp_path / "src"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert version(package) == plain
    git("init", "-q")
    assert version(package) == plain  # as in .venv, which git does not track
    git("add", ".")
    assert version(package) == plain
    git("commit", "-qm", "start")
    commit = git("rev-parse", "--short", "HEAD").strip()
    (tmp_path / "dvc.lock").write_text("of a run")
    assert version(package) == f"{plain} (commit {commit})"
    (package / "__init__.py").write_text("changed = True\n")
    assert version(package) == f"{plain} (commit {commit}, with changes)"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "retune: error: Missing command; commands: adapters, ask, check"),
        ("tabel", "retune: error: No such command 'tabel'; commands: adapters, ask, check"),
        ("--all", "retune: error: No such option: --all; options: --version, "),
        (
            "--version=1",
            "retune: error: Option '--version' does not take a value; commands: adapters",
        ),
        ("check --json", "retune check: error: No such option: --json; options: --pipeline"),
        ("diff --all main", "retune diff: error: No such option: --all; options: --help"),
        ("diff", "retune diff: error: Missing argument 'BASE'; see `retune diff --help`"),
        ("doctor --fix", "retune doctor: error: Option '--fix' requires an argument; see"),
        ("report --pipeline", "retune report: error: Option '--pipeline' requires an argument"),
        ("check a", "retune check: error: Got unexpected extra argument(s) (a); see"),
        ("ask --task [b]x[/b]", "Invalid value for '--task': no task '[b]x[/b]'; allowed: qa, "),
    ],
)
def test_a_wrong_command_line_gives_one_line_with_what_is_allowed(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, error = shown(line.split(), capsys)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert message in error


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ("doctor a --validation b c --drop d --json", "validation", ["b", "c"]),
        ("doctor a --validation b c --drop d --json", "files", ["a", "d"]),
        ("doctor a --validation b --validation c", "validation", ["b", "c"]),
        ("report --pipeline qa sentiment --out x", "pipeline", ["qa", "sentiment"]),
        ("ask a -- -b --json", "texts", ["a", "-b", "--json"]),
        ("sweep --stage a b --seeds 1,2 c", "what", ["b", "c"]),
    ],
)
def test_an_option_takes_as_many_values_as_its_help_shows(
    line: str, name: str, values: list[Any]
) -> None:
    assert list(read_command(line.split()).params[name]) == values


@pytest.mark.parametrize(
    ("words", "position", "found"),
    [("retune do", 1, ["doctor"]), ("retune ask --task ", 3, [*ASKERS])],
)
def test_a_shell_completes_commands_and_tasks(words: str, position: int, found: list[str]) -> None:
    asked = {"_RETUNE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    command = [sys.executable, "-m", "retune.tools.cli.main"]
    done = subprocess.run(
        command, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (found, "")
