"""Every script in bench/ says how it is called, and refuses to be called otherwise."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = [
    path.stem
    for path in sorted((ROOT / "bench").glob("*.py"))
    if "__main__" in path.read_text(encoding="utf-8")
]


def call(script: str, argument: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """The exit code of a script that is called with one argument."""
    monkeypatch.setattr("sys.argv", [script, argument])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"bench.{script}").main()
    return end.value.code


def test_no_script_is_forgotten() -> None:
    assert len(SCRIPTS) == 17


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_has_an_example(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(script, "--help", monkeypatch) == 0
    assert f"Example: python -m bench.{script} --" in capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("argument", ["--unknown", "unknown", "--sav"])
def test_unknown_arguments_are_refused(
    script: str,
    argument: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(script, argument, monkeypatch) == 2
    assert f"unrecognized arguments: {argument}" in capsys.readouterr().err
