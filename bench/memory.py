"""Peak resident memory of whole stage processes, at 10,000 and at 80,000 windows.

Tokenize, predict (with a tiny LSTM, so that the data dominate) and postprocess read the outputs of
the stage before them, each in a separate process, as DVC runs them. The goal is a growth of less
than 10 %. Memory maps count with the pages that were touched, as the system counts them.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from bench.inputs import ROOT, questions, settings, write_logits, write_raw
from bench.measure import parser, report
from retune.tasks.qa.windows.features import count_windows

STAGES = ("tokenize", "predict", "postprocess")
GOAL = 1.1


def main() -> None:
    arguments = parser("memory", "Peak memory of stages at two sizes of the data.")
    arguments.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    arguments.add_argument("--sizes", nargs=2, type=int, default=[10_000, 80_000])
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_settings(work)
        rows = [peaks(work / str(size), size, options.stages) for size in options.sizes]
    growth = [
        {"stage": stage, "mb": [row[stage] for row in rows], "goal": GOAL,
         "growth": round(rows[1][stage] / rows[0][stage], 3)}
        for stage in options.stages
    ]  # fmt: skip
    for row in growth:
        print("{stage}: {mb[0]:.0f} MB, {mb[1]:.0f} MB: x {growth} (goal: < {goal})".format(**row))
    report("memory", [], options, sizes=options.sizes, growth=growth)


def write_settings(work: Path) -> None:
    """The project's params.yaml with a tiny model, and that model."""
    from retune.tasks.qa.models.lstm import Params, build

    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["qa"]["model"] = "lstm"
    (work / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    tokenizer, _ = settings()
    sizes = Params(embedding_size=16, hidden_size=16)
    model = build(
        sizes, work, vocabulary_size=len(tokenizer), pad_token_id=int(tokenizer.pad_token_id)
    )
    model.save_pretrained(work / "model")
    tokenizer.save_pretrained(work / "model")


def peaks(work: Path, size: int, stages: Sequence[str]) -> dict[str, float]:
    """Run the stages on `size` questions, and return the peak of each in megabytes."""
    raw = write_raw(work / "raw", questions(size), questions(10))
    features, logits = work / "features", work / "logits"
    paths: dict[str, Sequence[Path]] = {
        "tokenize": (raw, features, work / "windows.json"),
        "predict": (features, work.parent / "model", logits),
        "postprocess": (raw, features, logits, work / "predictions"),
    }
    found: dict[str, float] = {}
    for stage in STAGES:
        if stage == "predict" and stage not in stages:
            counts = count_windows(features / "test.arrow")
            write_logits(logits, **counts)
            continue
        found[stage] = peak(stage, paths[stage], work.parent)
    return found


#: Runs a command and prints its peak, in a small separate process, because a new process also
#: counts the memory of the one that it was forked from.
_LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(1 if status else 0)
"""


def peak(stage: str, paths: Sequence[Path], folder: Path) -> float:
    """Peak resident memory of one stage process, in megabytes."""
    return peak_of([sys.executable, "-m", f"stages.qa.{stage}", *map(str, paths)], folder)


def peak_of(command: Sequence[str], folder: Path) -> float:
    """Peak resident memory of a command that runs in `folder`, in megabytes."""
    launcher = [sys.executable, "-S", "-E", "-c", _LAUNCHER, *command]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        launcher, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"this failed; run it by hand: {' '.join(command)}")
    return int(done.stdout) / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
