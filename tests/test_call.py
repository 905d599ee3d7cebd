"""What `call` does around a stage, by the signature of its `main`."""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Annotated, Any

import pytest
from filelock import FileLock

from retune.core.command_line import command_line
from retune.core.errors import RetuneError
from retune.core.files import locked
from retune.core.manifests import digest, read
from retune.core.params import Choice, Chosen, Params, Seed
from retune.core.signature import Check, In, Inputs, Out, Report, Trained
from retune.core.stage import call

MODELS = Choice("toy.model", "retune.tasks.qa.models", "toy.models")


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Params, "chosen", (Path("params.yaml"), None))
    Path("params.yaml").write_text("toy: {model: lstm, seed: 3, seeds: [1, 2]}\n")


def make(raw: Out) -> str:
    raw.mkdir()
    (raw / "a").write_text("1")
    return "made"


def use(
    raw: In, features: Out, metrics: Report, more: In | None = None, *,
    seed: Annotated[Seed, "toy.seed"], model: Annotated[str, "toy.model"], params: Params,
) -> str:  # fmt: skip
    features.mkdir()
    metrics.write_text(f"{sorted(params.read)}")
    return f"{(raw / 'a').read_text()} {seed} {model} {more}"


def test_inputs_are_checked_and_outputs_sealed_under_the_parameters_names() -> None:
    raw, features, metrics = map(Path, ("data", "features", "metrics.json"))
    assert call(make, raw) == "made"
    assert call(use, raw, features, metrics) == "1 3 lstm None"
    manifest = read(features)
    assert manifest["inputs"] == {"raw": digest(raw)}
    assert manifest["params"] == {"toy.model": "lstm"}
    assert metrics.read_text() == "['toy.model', 'toy.seed']"
    assert call(use, raw, Path("again"), metrics, more=features).endswith("features")
    assert set(read(Path("again"))["inputs"]) == {"raw", "more"}
    (raw / "a").write_text("2")
    with pytest.raises(RetuneError, match="data/a"):
        call(use, raw, features, metrics)


def test_an_input_that_is_no_stages_folder_is_refused() -> None:
    Path("mine").mkdir()
    with pytest.raises(RetuneError, match="a stage reads only what an earlier stage wrote"):
        call(use, Path("mine"), Path("features"), Path("metrics.json"))


def train(model: Trained, curves: Report) -> str:
    raise AssertionError("it runs beside another")


@pytest.mark.parametrize("path", ["model", "curves", "checkpoints"])
def test_all_that_a_training_writes_is_locked(path: str) -> None:
    with locked(Path(f".{path}.lock")), pytest.raises(RetuneError, match="is writing there"):
        call(train, Path("model"), Path("curves"))


@pytest.mark.parametrize("is_locked", [False, True])
def test_an_interrupt_while_a_lock_is_taken_leaves_no_file(
    is_locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = FileLock.acquire

    def interrupted(lock: FileLock, **options: Any) -> None:
        monkeypatch.setattr(FileLock, "acquire", acquire)
        if is_locked:
            acquire(lock, **options)
        else:
            Path(lock.lock_file).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(FileLock, "acquire", interrupted)
    with pytest.raises(KeyboardInterrupt), locked(Path(".model.lock")):
        raise AssertionError("it has no lock")
    assert not Path(".model.lock").exists()
    with locked(Path(".model.lock")):
        assert Path(".model.lock").exists()


def by_seed(folder: Path, seeds: list[int]) -> dict[int, Path]:
    return {seed: folder / str(seed) for seed in seeds}


def several(
    runs: Annotated[Path, Inputs(by_seed, "seeds")], *,
    seeds: Annotated[list[int], "toy.seeds"],
) -> str:  # fmt: skip
    return f"{len(by_seed(runs, seeds))} runs"


def test_each_folder_of_several_inputs_is_checked() -> None:
    call(make, Path("runs/1"))
    with pytest.raises(RetuneError, match="runs/2: no such folder"):
        call(several, Path("runs"))
    call(make, Path("runs/2"))
    assert call(several, Path("runs")) == "2 runs"


def refuse(model: str, seed: int) -> None:
    raise RetuneError(f"{model} does not go with {seed}")


def fitting(
    *, model: Annotated[str, "toy.model", Check(refuse, "seed")], seed: Annotated[int, "toy.seed"]
) -> str:
    raise AssertionError("its settings do not fit")


def test_settings_that_do_not_fit_together_are_refused_before_anything_runs() -> None:
    with pytest.raises(RetuneError, match="lstm does not go with 3"):
        call(fitting)
    Path("params.yaml").write_text("toy: {model: 1, seed: x}\n")
    with pytest.raises(RetuneError, match=r"toy.model: .*\n.*toy.seed: "):  # and no check
        call(fitting)


def choose(*, model: Annotated[Chosen, MODELS], seed: Annotated[Seed, "toy.seed"]) -> str:
    return f"{model.module.__name__} {model.params}"


def test_an_unknown_choice_comes_after_the_problems_of_all_sections() -> None:
    Path("params.yaml").write_text("toy: {model: lstn, seed: x}\n")
    with pytest.raises(RetuneError, match=r"toy.seed: .*\n.*toy.model: no 'lstn'.* `lstm`"):
        call(choose)


@pytest.mark.parametrize(
    ("stage", "lines"),
    [
        (use, ["RAW             folder of an earlier stage to read",
               "FEATURES        folder to write", "METRICS         file or folder to write",
               "--more MORE     folder of an earlier stage to read",
               "settings that it reads: toy.seed, toy.model"]),
        (train, ["MODEL           folder to write, with checkpoints beside it"]),
        (several, ["RUNS            folder with several folders of earlier stages to read"]),
        (choose, ["settings that it reads: toy.seed, toy.model, toy.models.*"]),
    ],
)  # fmt: skip
def test_help_explains_paths_and_settings(
    stage: Callable[..., str],
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["x", "--help"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", ModuleSpec("x", None))
    with pytest.raises(SystemExit, match="0"):
        command_line(stage)
    output = capsys.readouterr().out
    assert [line for line in lines if line not in output] == []
