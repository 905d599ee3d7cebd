"""What the trainings of adapters share: their tokenizer, and what they publish."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetensors.torch import load_file

from retune.adapters import bundles
from retune.core.errors import RetuneError
from retune.models.checkpoints import WEIGHTS, CheckpointParams, load_tokenizer
from retune.models.positions import max_positions
from retune.models.tokenizer_checks import id_count, require_vocabulary
from retune.training.arguments import Curves, require_finite
from retune.training.resume import Checkpoint
from retune.training.trainer import JointTrainer, Reports, Setup, write_reports

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Results(NamedTuple):
    """Where a training writes."""

    bundle: Path
    curves: Path
    costs: Path
    times: Path


def tokenizer_of(
    model: "PreTrainedModel", checkpoint: Path, length: int, setting: str
) -> "PreTrainedTokenizerFast":
    """The tokenizer of the encoder in the folder `checkpoint`, which `model` was made of.

    Raises:
        RetuneError: the model has not all of its tokens, or cannot read inputs of a `length`, which
            a `setting` gives.
    """
    tokenizer = load_tokenizer(checkpoint)
    require_vocabulary(model.config.vocab_size, id_count(tokenizer), checkpoint)
    positions = max_positions(model)
    if positions is not None and length > positions:
        raise RetuneError(
            f"{setting}: {length} tokens are more than the {positions} positions of the model; "
            "lower it"
        )
    return tokenizer


def publish(
    results: Results,
    trainer: JointTrainer,
    setup: Setup,
    end: Checkpoint,
    *,
    base: CheckpointParams,
    tokenizer: "PreTrainedTokenizerFast",
    unit: str,
) -> tuple[Curves, dict[str, Any]]:
    """Write the bundle of the best epoch, which `trainer`'s model gets, and all but the metrics.

    Returns:
        the curves, and what the times say.
    """
    best = setup.checkpoints[end.best_step]
    weights = load_file(best / WEIGHTS)
    require_finite(weights, setup.params.section)
    bundles.publish(best, results.bundle, base, tokenizer)
    trainer.inner.load_state_dict(weights, strict=False)
    details = {"bundle_bytes": (results.bundle / bundles.FILE).stat().st_size}
    reports = Reports(results.curves, results.costs, results.times)
    return write_reports(reports, trainer, setup, end, unit=unit, details=details)
