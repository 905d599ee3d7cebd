"""A trained reader with all that the stages tokenize, predict and postprocess do with questions."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from retune.core.params import import_known, module_names
from retune.inference.confidence import trust_in
from retune.inference.contexts import RememberingWindower
from retune.inference.exported import is_export, load_exported
from retune.inference.settings import ReaderSettings, TrainedModel
from retune.models.outputs import on_best_device
from retune.models.precision import resolved_precision
from retune.models.pretrained_files import load_tokenizer
from retune.models.tokenizer_checks import id_count, require_vocabulary
from retune.tasks.qa.postprocess.answers import RankedAnswer
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, ranked_in_parts
from retune.tasks.qa.postprocess.spans import Floats, chunks
from retune.tasks.qa.predict.batches import Collator
from retune.tasks.qa.predict.predict import predict_part
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.tokenize.tokenize import TokenizeParams
from retune.tasks.qa.windows.windows import Features, Windows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Seconds before a progress bar appears for few questions.
DELAY = 2.0
#: Returns the start and end logits of windows, shape (tokens, 2).
Predict = Callable[[Features], Floats]
_VARIANTS = "retune.tasks.qa.models"
#: Shapes of inputs for which oneDNN keeps its plan, by precision. By default it keeps 1,024, which
#: are a gigabyte after some hours. A plan for float32 costs nothing. One for
#: a shorter format does, and all layers of a batch share it.
_PLANS = {"fp32": "0"}
_OTHER_PLANS = "64"


class AnsweringModel:
    """Answers questions as the stages do: equal questions have equal answers.

    Attributes:
        settings: of the three stages.
        variant: that retune trained; None for other models.
        squad_v2: whether it was trained on unanswerable questions, too.
        trust: how the confidence of its answers is found.

    Raises:
        RetuneError: the model is incomplete or damaged, or its lengths leave no room for a context.
    """

    def __init__(
        self, trained: TrainedModel, settings: ReaderSettings, min_confidence: str | None = None
    ) -> None:
        precision = resolved_precision(settings.predict.precision)
        plans = _PLANS.get(precision, _OTHER_PLANS)
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", plans)  # read at its first use
        folder = trained.folder
        self.settings = settings
        self.variant, self.squad_v2 = trained.variant, trained.squad_v2
        self.trust = trust_in(folder, settings.postprocess, min_confidence)
        self._model = on_best_device(load_model(trained))
        tokenizer = load_tokenizer(folder)
        require_vocabulary(self._model.config.vocab_size, id_count(tokenizer), folder)
        self._collator = Collator.for_model(self._model, tokenizer, precision)
        self._windower = RememberingWindower(tokenizer, settings.tokenize)

    def ranked(
        self,
        examples: Sequence[Example],
        *,
        tokenize: TokenizeParams | None = None,
        postprocess: PostprocessParams | None = None,
        squad_v2: bool | None = None,
        delay: float | None = None,
        predict: Predict | None = None,
        most_windows: int | None = None,
    ) -> Iterator[RankedAnswer]:
        """Yield the answer and the n-best list of each question, in their order.

        Only the windows of some questions are in memory at a time. A progress bar counts windows.

        Args:
            examples: the questions; gold answers are not used.
            tokenize: instead of the model's own settings.
            postprocess: likewise.
            squad_v2: whether a question may have no answer; by default as the model was trained.
            delay: seconds before the bar appears, which then leaves nothing behind.
            predict: predicts windows instead of `self.predict`. There is no bar then.
            most_windows: that a question may have.

        Raises:
            RetuneError: the lengths leave no room for a context, a logit is not finite, or a
                question has too many windows.
        """
        windower = self._windower
        if tokenize is not None and tokenize != self.settings.tokenize:
            windower = windower.resized(tokenize)
        parts = self._cut(windower, examples, most_windows)
        with tqdm(
            desc="ask",
            unit=" windows",
            leave=delay is None,
            delay=delay or 0.0,
            disable=bool(predict),
        ) as bar:
            yield from ranked_in_parts(
                examples,
                self._predicted(parts, len(examples), bar, predict),
                postprocess or self.settings.postprocess,
                self.squad_v2 if squad_v2 is None else squad_v2,
            )

    def kept_of(self, question: str) -> str | None:
        """Return what is read of a question that is too long; None if all of it is read."""
        return self._windower.kept_of_long(question)

    def predict(self, part: Features, bar: "tqdm[Any] | None" = None) -> Floats:
        """Return the start and end logits of windows, shape (tokens, 2); `bar` counts them.

        Only one thread may call it at a time.

        Raises:
            RetuneError: a logit is not finite.
        """
        counted = tqdm(disable=True) if bar is None else bar
        return predict_part(self._model, part, self._collator, self.settings.predict, counted)

    def _cut(
        self, windower: RememberingWindower, examples: Sequence[Example], most: int | None
    ) -> Iterator[tuple[Features, int]]:
        """Yield windows, and how many questions are cut with these."""
        row = 0
        for group in windower.groups(examples, most):
            windows = windower.cut(group, first_row=row).windows
            row += len(group)
            yield windows, row

    def _predicted(
        self,
        parts: Iterator[tuple[Features, int]],
        questions: int,
        bar: "tqdm[Any]",
        predict: Predict | None,
    ) -> Iterator[tuple[Windows, Floats]]:
        for part, cut in parts:
            bar.total = round((bar.n + len(part)) * questions / cut)  # exact in the end
            yield from chunks(part, predict(part) if predict else self.predict(part, bar))


def load_model(trained: TrainedModel) -> "PreTrainedModel":
    """Load a model that retune trained or exported, or any that transformers knows for the task."""
    if trained.variant is not None:
        if not is_export(trained.folder):
            return load(trained.variant, trained.folder)
        import_known(trained.variant, _VARIANTS, trained.folder)
        return load_exported(trained.folder)
    for name in module_names(_VARIANTS):  # the configuration may name any of them
        import_known(name, _VARIANTS, trained.folder)
    return load("bert", trained.folder)
