import errno
import re
import runpy
import subprocess
import sys
from pathlib import Path

import graph
import pytest

from retune.core.errors import RetuneError
from retune.core.user_errors import guarded

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.glob("stages/**/*.py")
    if not path.stem.startswith("__")
)


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (RetuneError("what is wrong"), 1, "me: error: what is wrong\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "data/x"),
            1,
            "me: error: data/x: No space left on device; make room and run again: what was "
            "finished is kept\n",
        ),
        (KeyboardInterrupt(), 130, "me: stopped; nothing half-done is left, run it again\n"),
    ],
)
def test_an_error_becomes_a_sentence(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(lambda: fail(error), "me") == code
    assert capsys.readouterr().err == sentence


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0, "me")


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_only_stages_that_read_arrow_or_numbers_import_their_libraries() -> None:
    loaded = {
        name: set(run("-c", f"import sys, stages.qa.{name}; print(*sys.modules)").stdout.split())
        for name in ("download", "postprocess", "score", "tokenize")
    }
    assert not loaded["download"] & {"numpy", "pyarrow"}
    assert not loaded["score"] & {"pyarrow"}
    assert not loaded["postprocess"] & {"pyarrow"}  # until it reads: `--help` needs none
    assert not loaded["tokenize"] & {"torch", "transformers", "datasets", "pandas"}


def test_reading_answers_needs_neither_pandas_nor_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from retune.tasks.qa.windows.features import *\n"
        "from retune.tasks.qa.windows.windows import Features; import numpy as np\n"
        "path, one, two = Path(sys.argv[1]), np.zeros(1, np.int32), np.ones(1, np.int32)\n"
        "columns = [one.astype(np.int64), two, one, two, *[one] * 7]\n"
        "with window_writer(path) as writer: writer.write(Features(*columns))\n"
        "print(len(next(feature_batches(path))), *sys.modules)"
    )
    done = run("-c", code, str(tmp_path / "x.arrow"))
    count, *loaded = done.stdout.split()
    assert (count, done.stderr) == ("1", "")
    assert not set(loaded) & {"torch", "transformers", "datasets", "pandas"}


@pytest.mark.parametrize("name", ["download", "postprocess", "score"])
def test_stages_without_a_model_start_without_its_libraries(name: str) -> None:
    code = f"import sys, stages.qa.{name}; print(*sys.modules)"
    loaded = set(run("-c", code).stdout.split())
    assert f"stages.qa.{name}" in loaded
    assert not loaded & {"torch", "transformers", "datasets", "pandas", "dvc"}


def test_the_command_line_starts_without_heavy_libraries() -> None:
    loaded = set(run("-c", "import sys, retune.tools.cli.main; print(*sys.modules)").stdout.split())
    assert "retune.tools.cli.main" in loaded
    assert not loaded & {"torch", "transformers", "datasets", "pandas", "dvc", "pydantic"}
    assert not loaded & {"yaml", "ruamel.yaml"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_stage_script_is_thin_and_has_help_with_an_example(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len((ROOT / script).read_text(encoding="utf-8").splitlines()) <= 40
    module = script.removesuffix(".py").replace("/", ".")
    help_text = printed_help(module, monkeypatch, capsys)
    assert help_text.startswith(f"usage: python -m {module} [-h]")
    assert f"Example: python -m {module} " in help_text
    assert "--variant NAME" in help_text
    read = help_text.partition("settings that it reads: ")[2].replace(",", "").split()
    params = graph.params_read(ROOT / script)
    assert {name.removesuffix(".*") for name in read} == {name.split(".$")[0] for name in params}
    assert max(map(len, help_text.splitlines())) <= 100


def printed_help(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What `python -m MODULE --help` prints, without a new process that imports torch."""
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert not ended.value.code
    return capsys.readouterr().out


def test_help_is_printed_in_a_process_of_its_own() -> None:
    done = run("-m", "stages.qa.download", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Example: python -m stages.qa.download" in done.stdout


@pytest.mark.parametrize("command", ["sweep", "table"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = run("-m", "retune.tools.cli.main", command, "--help")
    assert done.returncode == 0
    assert f"Example: retune {command}" in done.stdout


def test_outside_the_project_a_stage_says_where_to_run(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; " + (
        "sys.argv = ['x', 'raw', 'predictions', 'metrics', 'questions']; "
        "runpy.run_module('stages.qa.score', run_name='__main__', alter_sys=True)"
    )
    done = run("-c", code, folder=tmp_path)
    assert done.returncode == 1
    assert re.search(r"params.yaml: no such file; run from the project's top folder", done.stderr)
    assert "Traceback" not in done.stderr


OPTIONAL = """
import sys
from pathlib import Path
from retune.core.params import Params
from retune.core.stage import run_stage
def main(raw: Path, model_folder: Path, more_data: Path | None = None) -> str:
    with Params() as params:
        value = params.section("task.value", int)
    return f"{raw} {model_folder} {more_data} {value} {params.path}"
run_stage(main)
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("in out", "in out None 1 params.yaml"),
        ("in out --more-data x", "in out x 1 params.yaml"),
        ("--params other.yaml in out", "in out None 2 other.yaml"),
    ],
)
def test_options_choose_the_params_file_and_give_what_may_be_absent(
    arguments: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(OPTIONAL, encoding="utf-8")
    for number, name in enumerate(["params.yaml", "other.yaml"], 1):
        (tmp_path / name).write_text(f"task: {{value: {number}}}", encoding="utf-8")
    done = run("-m", "script", *arguments.split(), folder=tmp_path)
    assert (done.stdout, done.stderr) == (f"{said}\n", "")


def test_a_number_has_to_be_given_by_name(tmp_path: Path) -> None:
    text = OPTIONAL.replace("= None)", "= None, *, seed: int)").replace("{value}", "{seed + 1}")
    (tmp_path / "script.py").write_text(text, encoding="utf-8")
    (tmp_path / "params.yaml").write_text("task: {value: 1}", encoding="utf-8")
    done = run("-m", "script", "in", "--seed", "41", "out", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("in out None 42 params.yaml\n", "")
    done = run("-m", "script", "in", "out", folder=tmp_path)
    assert (done.returncode, "required: --seed" in done.stderr) == (2, True)
    done = run("-m", "script", "in", "out", "--seed", "one", folder=tmp_path)
    assert (done.returncode, "invalid int value: 'one'" in done.stderr) == (2, True)


def test_a_variant_on_the_command_line_reaches_the_params(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(OPTIONAL.replace("task.value", "qa.seed"))
    (tmp_path / "params.yaml").write_text("qa: {seed: 1}\nvariants: {two: {seed: 2}}")
    done = run("-m", "script", "a", "b", "--variant", "two", folder=tmp_path)
    assert done.stdout == "a b None 2 params.yaml\n"
    done = run("-m", "script", "a", "b", "--variant", "three", folder=tmp_path)
    assert (
        done.stderr == "python -m script: error: params.yaml: variants: no 'three'; allowed: two\n"
    )
