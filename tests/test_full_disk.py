"""Stages on a small or read-only file system: a sentence, and nothing half-written."""

import pytest
from namespaces import REMOUNT, mounted, unshared
from projects import Project

pytestmark = pytest.mark.slow

INPUTS = {
    "download": [],
    "tokenize": ["raw"],
    "train": ["raw", "features"],
    "predict": ["test_features", "model"],
    "postprocess": ["test", "test_features", "logits"],
    "score": ["test", "predictions"],
}
OUTPUTS = {
    "download": ["raw", "test", "download.json"],
    "tokenize": ["features", "windows.json"],
    "train": ["model", "curves", "costs.json", "times.json"],
    "predict": ["logits"],
    "postprocess": ["predictions"],
    "score": ["qa.json", "scores"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    mounted(str(tmp_path_factory.mktemp("mount")), "size=1m")  # skips where that is refused
    project = Project(tmp_path_factory.mktemp("full"), forked=True)
    with project.params() as qa:
        qa["train"] |= {"epochs": 3, "log_every": 1}
    project.repro()
    return project


def in_small_place(project: Project, size: str, *steps: str) -> str:
    """Run shell `steps` with a file system of `size` mounted at `small`."""
    small = project.folder / "small"
    small.mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o size={size} none small || exit 1"
    place = [mount, "trap 'umount small' EXIT"]
    output = project.run(*unshared("-rm"), "sh", "-c", "\n".join([*place, *steps]))
    assert "Traceback" not in output
    return output


def command(stage: str) -> str:
    inputs = [f"data/qa/{name}" for name in INPUTS[stage]]
    outputs = [f"small/{name}" for name in OUTPUTS[stage]]
    return " ".join([f"python -m stages.qa.{stage}", *inputs, *outputs])


@pytest.mark.parametrize("stage", INPUTS)
def test_a_full_disk_is_a_sentence_and_nothing_is_half_written(
    stage: str, project: Project
) -> None:
    output = in_small_place(
        project,
        "64k",
        "mkdir small/old && echo old > small/old/file",
        "head -c 1m /dev/zero > small/filler 2>/dev/null",
        f"{command(stage)} && echo it went well",
        "echo and there is: $(find small -mindepth 1 -not -path '*/logs*' | sort)",
    )
    assert "it went well" not in output
    assert output.count(f"stages.qa.{stage}: error: ") == 1
    assert "No space left on device" in output
    (listing,) = [line for line in output.splitlines() if line.startswith("and there is: ")]
    there = listing.split()[3:]
    aside = {"small/checkpoints", "small/curves"}  # folders only
    assert set(there) - aside == {"small/filler", "small/old", "small/old/file"}


def test_training_goes_on_once_there_is_room(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETUNE_CHECKPOINT_SECONDS", "0")
    size = sum(f.stat().st_size for f in (project.folder / "data/qa/model").iterdir()) // 1000
    output = in_small_place(
        project,
        f"{5 * size}k",  # a checkpoint has weights and two moments of each
        command("train"),
        "ls small/checkpoints/*",
        f"{REMOUNT} remount,size=50m small",
        command("train"),
    )
    assert "cannot write the checkpoint of step 2" in output
    assert "Make room and run again to resume from the checkpoint before" in output
    assert "resuming from step 1" in output
    assert "best epoch" in output


@pytest.mark.parametrize("stage", INPUTS)
def test_a_read_only_place_is_refused_before_any_work(stage: str, project: Project) -> None:
    output = in_small_place(
        project,
        "1m",
        f"{REMOUNT} remount,ro small",
        f"{command(stage)} && echo it went well",
        "true",
    )
    assert "it went well" not in output
    assert output.strip().endswith(
        f"stages.qa.{stage}: error: small: cannot write there: Read-only file system"
    )
