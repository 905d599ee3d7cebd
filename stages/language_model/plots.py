"""Show how probable each token is, by the number of beams."""

from typing import Annotated

from retune.core.signature import In, Report
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.language_model.models import load
from retune.tasks.language_model.plots.plots import Plots, PlotsParams, plots


def main(
    features: In, model: In, token_probabilities: Report, beams: Report, by_position: Report,
    pair_beams: Report, texts: Report, coloured: Report, *,
    settings: Annotated[PlotsParams, "language_model.plots"],
) -> str:  # fmt: skip
    r"""Continue the prompts of `language_model.plots` and of FEATURES with MODEL.

    TOKEN_PROBABILITIES, BEAMS, BY_POSITION and PAIR_BEAMS are tables for plots. TEXTS (JSON) and
    COLOURED (HTML) hold the continuations of the prompts.

    Example: python -m stages.language_model.plots data/features data/after \
        token_probabilities.csv beams.csv by_position.csv pair_beams.csv texts.json \
        coloured.html
    """
    files = Plots(token_probabilities, beams, by_position, pair_beams, texts, coloured)
    return plots(features, load(model), files, settings, Share.of_launch())


if __name__ == "__main__":
    run_launched(main)
