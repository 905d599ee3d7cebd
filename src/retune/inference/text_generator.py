"""`retune.TextGenerator`: continue texts with a trained language model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, overload

from retune.core.errors import RetuneError
from retune.core.params import Params, Seed
from retune.inference.projects import params_for, require_texts, trained_params
from retune.tasks.language_model.generate.beams import BeamParams
from retune.tasks.language_model.generate.decoding import Continuation
from retune.tasks.language_model.generate.generation import GenerationParams, best_continuations
from retune.tasks.language_model.generate.pieces import Piece
from retune.tasks.language_model.generate.processors import ProcessorParams
from retune.tasks.language_model.generate.text_generator import load_text_generator
from retune.tasks.language_model.models import load

#: The settings without a params file: three beams, as in the notebook.
SEARCH = GenerationParams(
    32, 32, BeamParams(3, 1, 1.0), None, ProcessorParams(None, None, None, None)
)
SEED = 1


class Generated(TypedDict):
    """A continuation, with the key of the text-generation pipeline of transformers.

    Attributes:
        generated_text: the prompt and its continuation.
        continuation: the continuation alone.
        tokens: the pieces of the continuation, each with its probability from 0 to 1; the last one
            may be the token that ends a text.
        log_probability: the sum of the natural logarithms of the tokens' probabilities.
        mean_log_probability: their mean.
        ended: whether it ended by itself, and was not cut.
    """

    generated_text: str
    continuation: str
    tokens: list[Piece]
    log_probability: float
    mean_log_probability: float
    ended: bool


class TextGenerator:
    """Continues texts.

    Example::

        generate = TextGenerator("pipelines/language_model/data/after")
        generate("Once upon a time", max_new_tokens=8)["continuation"]

    Args:
        model: folder that a train stage of the language model pipeline wrote.
        params: a params file with `language_model.generate` and `language_model.seed`; by default
            that of the pipeline around the folder, and without one the values that retune ships.

    Raises:
        RetuneError: the model is missing, damaged, or of another task.
    """

    def __init__(self, model: str | Path, *, params: str | Path | Params | None = None) -> None:
        folder = Path(model)
        if trained_params(folder, {"language_model.model": str}) is None:
            raise RetuneError(f"{folder}: not a folder that a stage of the language model wrote")
        self._search, self._seed = _settings(folder, params)
        self._generator = load_text_generator(load(folder), folder)

    @overload
    def __call__(self, texts: str, *, max_new_tokens: int | None = None) -> Generated: ...

    @overload
    def __call__(
        self, texts: list[str], *, max_new_tokens: int | None = None
    ) -> list[Generated]: ...

    def __call__(
        self, texts: str | list[str], *, max_new_tokens: int | None = None
    ) -> Generated | list[Generated]:
        """Continue a text, or several, each by its best continuation.

        Args:
            texts: the beginnings.
            max_new_tokens: a continuation that has not ended is cut here; by default as in the
                settings.

        Raises:
            RetuneError: a text is blank, too long or not of the model's vocabulary.
        """
        if isinstance(texts, str):
            return self._generated([texts], max_new_tokens)[0]
        return self._generated(texts, max_new_tokens)

    def _generated(self, texts: Sequence[str], most: int | None) -> list[Generated]:
        require_texts(texts)
        if most is not None and most < 1:
            raise RetuneError(f"max_new_tokens is {most}; give 1 or more")
        search = self._search if most is None else replace(self._search, max_new_tokens=most)
        prompts = [self._generator.read(text) for text in texts]
        found = best_continuations(self._generator, prompts, search, self._seed)
        rows = zip(texts, prompts, found, strict=True)
        return [self._row(text, tokens, each) for text, tokens, each in rows]

    def _row(self, text: str, tokens: list[int], found: Continuation) -> Generated:
        pieces, ended = self._generator.pieces(tokens, found), self._generator.has_ended(found)
        # Piece by piece: a tokenizer that marks spaces would drop the first one of a text.
        continuation = "".join(piece.text for piece in (pieces[:-1] if ended else pieces))
        return Generated(
            generated_text=text + continuation,
            continuation=continuation,
            tokens=pieces,
            log_probability=found.log_probability,
            mean_log_probability=found.mean_log_probability,
            ended=ended,
        )


def _settings(folder: Path, params: str | Path | Params | None) -> tuple[GenerationParams, int]:
    settings = params_for(folder, params, "language_model")
    if settings is None:
        return SEARCH, SEED
    with settings:
        search = settings.section("language_model.generate", GenerationParams)
        seed = settings.section("language_model.seed", Seed)
    return search, seed
