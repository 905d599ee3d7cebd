"""Show how probable each token is, by the number of beams."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.language_model.models import load
from retune.tasks.language_model.plots.plots import Plots, PlotsParams, plots


def main(features: Path, model: Path, token_probabilities: Path, beams: Path, by_position: Path,
         pair_beams: Path, texts: Path, coloured: Path) -> str:  # fmt: skip
    r"""Continue the prompts of `language_model.plots` and of FEATURES with MODEL, and tell how.

    Tables for plots are TOKEN_PROBABILITIES, BEAMS, BY_POSITION and PAIR_BEAMS; TEXTS (JSON) and
    COLOURED (HTML) hold the continuations of the prompts.

    Example: python -m stages.language_model.plots data/features data/after \
        token_probabilities.csv beams.csv by_position.csv pair_beams.csv texts.json \
        coloured.html
    """
    with Params() as params:
        settings = params.section("language_model.plots", PlotsParams)
    files = Plots(token_probabilities, beams, by_position, pair_beams, texts, coloured)
    reads = {"features": features, "model": model}
    with sealed(params.read, reads=reads, writes={}, reports=list(files)):
        return plots(features, load(model), files, settings)


if __name__ == "__main__":
    run_stage(main)
