"""Where a trained model is, how it was trained, and the settings by which it is used."""

from dataclasses import dataclass
from pathlib import Path

from retune.core.errors import RetuneError
from retune.core.params import Params
from retune.inference.projects import params_for, trained_params
from retune.inference.published import PARAMS, from_hub, is_published, read_published
from retune.models.pretrained_files import PretrainedParams, is_commit, resolve
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams


@dataclass(frozen=True)
class ReaderSettings:
    """How questions are answered: the sections of three stages.

    The values without a params file are those that the project ships.
    """

    tokenize: TokenizeParams = TokenizeParams(384, 128, 64, "all", 1.0, 1.0)  # noqa: RUF009
    predict: PredictParams = PredictParams(32, "auto")  # noqa: RUF009
    postprocess: PostprocessParams = PostprocessParams(20, 30, 0.0)  # noqa: RUF009


@dataclass(frozen=True)
class TrainedModel:
    """A folder with a trained model.

    Attributes:
        folder: with weights, configuration and tokenizer.
        variant: the module of `retune.tasks.qa.models` that it was trained as; None if retune did
            not train it.
        squad_v2: whether it was trained on unanswerable questions, too.
    """

    folder: Path
    variant: str | None
    squad_v2: bool


def read_settings(params: Params) -> ReaderSettings:
    """Read the settings in a params file.

    Raises:
        RetuneError: a section is missing or wrong.
    """
    with params:
        lengths = params.section("qa.tokenize", TokenizeParams)
        predicting = params.section("qa.predict", PredictParams)
        postprocessing = params.section("qa.postprocess", PostprocessParams)
    return ReaderSettings(lengths, predicting, postprocessing)


def settings_for(folder: Path, params: str | Path | None) -> ReaderSettings:
    """Return the settings in a file, or in that of the project around a folder, or the defaults.

    A published folder has its own file.

    Raises:
        RetuneError: the file is missing or wrong.
    """
    if params is None and is_published(folder):
        params = folder / PARAMS
    found = params_for(folder, params, "qa")
    return ReaderSettings() if found is None else read_settings(found)


def find_model(model: str | Path, revision: str | None) -> TrainedModel:
    """Find a model: a folder, or with a `revision` also an id of the Hugging Face hub.

    Raises:
        RetuneError: there is no such folder or id, or it is damaged.
    """
    folder = Path(model)
    if revision is not None:
        pinned = PretrainedParams(str(model), revision)
        on_hub = is_commit(revision) and not folder.is_dir()
        folder = (from_hub(str(model), revision) if on_hub else None) or resolve(pinned, "model")
    elif not folder.is_dir():
        raise RetuneError(
            f"{model}: no such folder; for a model of the Hugging Face hub also give revision, the "
            "40 digits of a commit"
        )
    if (folder / "model").is_dir() and not (folder / "config.json").is_file():
        folder /= "model"  # of a run, or an export
    if is_published(folder):
        record = read_published(folder)
        return TrainedModel(folder, record.variant, record.squad_v2)
    found = trained_params(folder, {"qa.model": str, "qa.squad_v2": bool})
    if found is None:
        return TrainedModel(folder, None, False)
    return TrainedModel(folder, str(found["qa.model"]), found["qa.squad_v2"] is True)
