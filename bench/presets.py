"""Presets: trainings an hour on a thousand bundled questions, by params.yaml and by presets."""

from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

from bench import measure
from bench.inputs import ROOT
from bench.recipes import Precision, Recipe, measured
from bench.training import minilm
from bench.windows import shuffled_windows
from retune.models.precision import resolved_precision

if TYPE_CHECKING:
    from datasets import Dataset

PRESETS = ("cropped", "thousand")
_QUESTIONS = 981  # of the bundled train split


def main() -> None:
    """Measure, and print or save the figures."""
    parser = measure.parser("presets", str(__doc__))
    parser.add_argument("--steps", type=int, default=10, help="steps a round (default: 10)")
    options = parser.parse_args()
    settings = {"params.yaml": _settings(), **{name: _settings(name) for name in PRESETS}}
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


def _settings(preset: str | None = None) -> dict[str, Any]:
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
    build = partial(minilm, settings["dropout"])
    speed = measured(build, rows, recipe, settings["batch_size"], steps)
    return 3600 * speed / (settings["epochs"] * len(rows))


if __name__ == "__main__":
    main()
