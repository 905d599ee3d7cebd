"""Presets: trainings an hour on a thousand bundled questions, by params.yaml and by presets."""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import yaml
from transformers import PreTrainedModel

from bench import measure
from bench.inputs import ROOT
from bench.recipes import Precision, Recipe, measured
from bench.windows import pretrained_folder, shuffled_windows
from retune.models.precision import resolved_precision
from retune.tasks.qa.models import bert

if TYPE_CHECKING:
    from datasets import Dataset

DEFAULT = "params.yaml"
PRESETS = ("cropped", "thousand")
_QUESTIONS = 981  # of the bundled train split


def main() -> None:
    """Measure, and print or save the figures."""
    parser = measure.parser("presets", str(__doc__))
    parser.add_argument("--steps", type=int, default=20, help="steps a round (default: 20)")
    options = parser.parse_args()
    settings = {DEFAULT: read_settings(), **{name: read_settings(name) for name in PRESETS}}
    precisions: list[Precision] = ["fp32"]
    if resolved_precision("auto") == "bf16":
        precisions.append("auto")
    comparisons = []
    with shuffled_windows(_QUESTIONS, bundled=True) as rows:
        for precision in precisions:
            sides = {
                name: partial(_trainings_an_hour, rows, each, precision, options.steps)
                for name, each in settings.items()
            }
            title = f"Training in {resolved_precision(precision)}"
            comparisons.append(measure.alternate(title, "trainings/h", sides, options.rounds))
    measure.report("presets", comparisons, options)


def read_settings(preset: str | None = None) -> dict[str, Any]:
    """Return epochs, batch size, crop and dropout of params.yaml, with the changes of a preset."""
    settings: dict[str, Any] = {}
    for path in ["params.yaml", *([f"experiments/{preset}.yaml"] if preset else [])]:
        section = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["qa"]
        settings |= section["train"] | section.get("models", {}).get("bert", {})
    return {name: settings[name] for name in ("epochs", "batch_size", "crop", "dropout")}


def _trainings_an_hour(
    rows: "Dataset", settings: dict[str, Any], precision: Precision, steps: int
) -> float:
    recipe = Recipe(precision=precision, crop=settings["crop"])
    build = partial(_encoder, settings["dropout"])
    speed = measured(build, rows, recipe, settings["batch_size"], steps)
    return 3600 * speed / (settings["epochs"] * len(rows))


def _encoder(dropout: float | None) -> PreTrainedModel:
    torch.manual_seed(1)
    return bert.build(bert.Params(dropout), pretrained_folder(), 30522, 0)


if __name__ == "__main__":
    main()
