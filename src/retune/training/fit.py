"""Training from a seed to published files, the same for all tasks."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from safetensors.torch import load_file
from transformers import PreTrainedModel

from retune.core.files import atomic_path, write_json
from retune.core.memory import peak_memory_mb
from retune.models.positions import require_positions
from retune.models.pretrained_files import WEIGHTS
from retune.models.tokenizer_checks import id_count, require_vocabulary
from retune.training.arguments import Curves, OptimizationParams, require_finite
from retune.training.resume import Checkpoint
from retune.training.seeding import seed_everything
from retune.training.trainer import JointTrainer, Setup, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Scores = Mapping[str, float]
#: Makes a model folder of a checkpoint and a tokenizer; returns the file with the weights.
Publish = Callable[[Path, Path, "PreTrainedTokenizerFast"], Path]


class Build(Protocol):
    """Makes a model; weights that are not pretrained are fresh."""

    def __call__(self, *, vocabulary_size: int, pad_token_id: int) -> PreTrainedModel:
        """Build the model on the CPU, in float32."""
        ...


class Results(NamedTuple):
    """Where a training writes: two folders and two files."""

    model: Path
    curves: Path
    costs: Path
    times: Path


def build_seeded(
    build: Callable[[], PreTrainedModel],
    seed: int,
    tokenizer: "PreTrainedTokenizerFast",
    longest: int,
    setting: str,
) -> PreTrainedModel:
    """Build a model from a seed, and check that it can read its inputs.

    Args:
        build: makes the model; it draws at random what is not pretrained.
        seed: of the training.
        tokenizer: of the inputs.
        longest: input, in tokens.
        setting: in the params, that limits the length of inputs.

    Raises:
        RetuneError: the model lacks tokens of the tokenizer, or positions.
    """
    seed_everything(seed)
    model = build()
    rows = model.config.get_text_config().vocab_size
    remedy = f"the tokenizer in {tokenizer.name_or_path} does not belong to it"
    require_vocabulary(rows, id_count(tokenizer), "the model", remedy)
    require_positions(model, longest, setting)
    return model


def publish_model(checkpoint: Path, target: Path, tokenizer: "PreTrainedTokenizerFast") -> Path:
    """Make a model folder of a checkpoint; return the file that has the weights."""
    with atomic_path(target) as folder:
        folder.mkdir(parents=True)
        for name in ("config.json", WEIGHTS):
            shutil.copyfile(checkpoint / name, folder / name)
        tokenizer.save_pretrained(folder)
    return target / WEIGHTS


def fit(
    task: TrainingTask,
    results: Results,
    params: OptimizationParams,
    seed: int,
    settings: Mapping[str, Any] | None,
    *,
    reads: Sequence[Path],
    conclude: Callable[[Scores, Scores], str],
    publish: Publish = publish_model,
    costs: Mapping[str, int] | None = None,
    weights_key: str = "model_bytes",
    score_first: bool = False,
) -> str:
    """Train the model of a task and publish its best or last epoch, with curves, costs and times.

    Only the first of several processes writes. With `settings`, a killed training resumes from its
    last checkpoint; they, the seed and the sealed folders `reads` must be all that the result
    depends on.

    Args:
        task: with a model from `build_seeded`.
        results: where to write.
        params: of the optimization.
        seed: of batches and dropout.
        settings: see above.
        reads: see above.
        conclude: gets the scores before the training (none unless `score_first`) and those of the
            kept epoch (none without an evaluation). It writes what else the task reports, and
            returns the scores in words.
        publish: makes the published folder of the kept checkpoint.
        costs: to be reported besides the sizes and the number of rows.
        weights_key: what the size of the published weights is called in the costs.
        score_first: whether to evaluate the model before the training.

    Returns:
        the closing line; nothing in processes that do not write.
    """
    if settings is not None:
        bundle = getattr(task.model.config, "bundle", None)
        settings = {**settings, "seed": seed, "bundle": bundle}
    setup = Setup.of(task, params, seed, results.model, settings, reads)
    trainer = JointTrainer(task, setup)
    before = trainer.score() if score_first else {}
    end = trainer.train_to_the_end(setup.begun)
    if not setup.arguments.should_save:
        return ""
    checkpoint = setup.checkpoints[end.best_step]
    for extension in task.extensions:
        checkpoint = extension.published(checkpoint)
    require_finite(load_file(checkpoint / WEIGHTS), params.section)
    weights = publish(checkpoint, results.model, task.tokenizer)
    sizes = {**trainer.sizes, **(costs or {}), weights_key: weights.stat().st_size}
    curves, speed = _report(results, task, setup, end, sizes)
    row = _kept(curves.validation, task.best_metric)
    told = conclude(before, row)
    setup.checkpoints.remove()
    which = "last" if task.best_metric is None else "best"
    epoch = row["epoch"] if row else end.state.epoch or 0
    return f"{which} epoch {epoch:.0f}: {told}; {speed:.1f} {task.unit.replace('_', ' ')}/s"


def _kept(validation: Sequence[Scores], metric: str | None) -> Scores:
    """Return the row of the epoch that is published; nothing without an evaluation."""
    if metric is None:
        return validation[-1] if validation else {}
    return (min if metric == "loss" else max)(validation, key=itemgetter(metric))


def _report(
    results: Results, task: TrainingTask, setup: Setup, end: Checkpoint, sizes: Mapping[str, int]
) -> tuple[Curves, float]:
    """Write curves, costs and times; return the curves, and the rows trained on in a second."""
    curves = Curves.of(end.state.log_history)
    curves.write(results.curves)
    count = round((end.state.epoch or 0) * len(task.rows))
    costs = {**sizes, f"train_{task.unit}": count}
    speed = count / end.seconds
    times = {
        "train_seconds": round(end.seconds, 1),
        f"train_{task.unit}_per_second": round(speed, 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "environment": setup.surroundings,
    }
    for path, figures in ((results.costs, costs), (results.times, times)):
        # DVC's tables leave out lists, so that their columns begin with the scores.
        write_json(path, _below(setup.params.section, {"details": [figures]}))
    return curves, speed


def _below(section: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Figures under the task that a `section` such as `qa.train` or `adapters.entities` names."""
    task, name = section.split(".")
    return {task: figures if name == "train" else {name: figures}}
