"""`retune.Reader`: answer questions about texts with a trained model."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack, overload

from pydantic import ValidationError

from retune.core.errors import RetuneError, excerpt, listed
from retune.inference.answering import AnsweringModel
from retune.inference.confidence import Stated
from retune.inference.settings import find_model, settings_for
from retune.tasks.qa.download.word_bounds import whole_span
from retune.tasks.qa.postprocess.answers import RankedAnswer
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.tokenize.tokenize import TokenizeParams

T = TypeVar("T", TokenizeParams, PostprocessParams)

#: Seconds before a progress bar appears.
_DELAY = 2.0


class Answer(TypedDict):
    """An answer, with the keys of the question-answering pipeline of transformers 4.

    Attributes:
        answer: the text; "" if there is no answer, or if it is withheld.
        score: its share among the candidates, from 0 to 1.
        start: its first character in the context; 0 if there is no answer.
        end: the character behind its last.
        confidence: how probable it is that it is right, from 0 to 1; None if the model is not
            calibrated.
    """

    answer: str
    score: float
    start: int
    end: int
    confidence: float | None


class Options(TypedDict, total=False):
    """Options of a question, with the names of the question-answering pipeline of transformers 4.

    Attributes:
        handle_impossible_answer: whether there may be no answer; by default as the model was
            trained.
        max_answer_len: longest answer, in tokens.
        max_seq_len: tokens of a window.
        doc_stride: the overlap of neighbouring windows, in tokens.
        max_question_len: tokens that are read of a question.
        align_to_words: widen answers to whole words. By default they are the spans that are scored.
    """

    handle_impossible_answer: bool
    max_answer_len: int
    max_seq_len: int
    doc_stride: int
    max_question_len: int
    align_to_words: bool


class Reader:
    """Answers questions about texts with a trained model.

    Example::

        reader = Reader("data/qa/model")
        reader(question="Where does it end?", context="The Kesen ends in the bay.")
        # {'answer': 'the bay', 'score': 0.91, 'start': 18, 'end': 25, 'confidence': 0.74}

    Args:
        model: folder that a train stage wrote, or that `save_pretrained` of transformers wrote with
            a question-answering model and its tokenizer; with `revision`, also an id of the Hugging
            Face hub.
        revision: of a hub id, the 40 digits of a commit; of a folder, the SHA-256 of its weights.
        params: a params file with the settings of `qa.tokenize`, `qa.predict` and `qa.postprocess`;
            by default that of the project around the folder, and without one the values that
            retune ships.
        min_confidence: answers of less confidence are withheld: a number from 0 to 1, or
            "promised" for the threshold that the stage `calibrate` found.

    Raises:
        RetuneError: the model is missing or damaged, or has no calibration for `min_confidence`.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        revision: str | None = None,
        params: str | Path | None = None,
        min_confidence: float | str | None = None,
    ) -> None:
        trained = find_model(model, revision)
        settings = settings_for(trained.folder, params)
        least = None if min_confidence is None else str(min_confidence)
        self._model = AnsweringModel(trained, settings, least)

    @overload
    def __call__(self, question: str, context: str, **options: Unpack[Options]) -> Answer: ...

    @overload
    def __call__(
        self, question: list[str], context: str | list[str], **options: Unpack[Options]
    ) -> list[Answer]: ...

    @overload
    def __call__(
        self,
        question: str | list[str],
        context: str | list[str],
        *,
        top_k: int,
        **options: Unpack[Options],
    ) -> Answer | list[Answer] | list[list[Answer]]: ...

    def __call__(
        self,
        question: str | list[str],
        context: str | list[str],
        *,
        top_k: int = 1,
        **options: Unpack[Options],
    ) -> Answer | list[Answer] | list[list[Answer]]:
        """Answer one question or several.

        Args:
            question: one, or a list.
            context: the text with the answer; one for all questions, or a list with one for each.
            top_k: how many answers to return, the best first. There may be fewer.
            **options: see `Options`.

        Returns:
            An answer, or a list of them if `top_k` is above 1; for a list of questions, a list with
            that for each.

        Raises:
            RetuneError: a question or a context is blank, or an option does not fit.
        """
        if top_k < 1:
            raise RetuneError(f"top_k is {top_k}; give 1 or more")
        found = self._answers(_examples(question, context), top_k, options)
        if isinstance(question, str):
            (answers,) = found
            return answers[0] if top_k == 1 else answers
        return [answers[0] for answers in found] if top_k == 1 else [*found]

    def _answers(
        self, examples: Sequence[Example], top_k: int, options: Options
    ) -> Iterator[list[Answer]]:
        """Yield the best answers to each question."""
        if unknown := options.keys() - Options.__optional_keys__:
            allowed = ", ".join(sorted(Options.__optional_keys__))
            raise RetuneError(f"{listed(sorted(unknown))}: no such option; allowed: {allowed}")
        settings, trust = self._model.settings, self._model.trust
        lengths = _changed(
            settings.tokenize,
            max_length=options.get("max_seq_len"),
            doc_stride=options.get("doc_stride"),
            max_question_length=options.get("max_question_len"),
        )
        reading = _changed(
            settings.postprocess,
            max_answer_length=options.get("max_answer_len"),
            n_best=max(top_k, settings.postprocess.n_best),
        )
        ranked = self._model.ranked(
            examples,
            tokenize=lengths,
            postprocess=reading,
            squad_v2=options.get("handle_impossible_answer"),
            delay=_DELAY,
        )
        widen = options.get("align_to_words", False)
        # Confidence was fitted on answers that were found by these settings.
        is_calibrated = (lengths, reading) == (settings.tokenize, settings.postprocess)
        for example, found in zip(examples, ranked, strict=True):
            stated = trust.state(found) if is_calibrated else Stated(None, False)
            yield [
                _answer(example.context, found, place, stated, widen=widen)
                for place in _order(found)[:top_k]
            ]


def _changed(params: T, **changes: int | None) -> T:
    """Return a section of settings with the changes that are not None.

    Raises:
        RetuneError: a change is not allowed.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    values = {**vars(params), **given}
    try:
        return type(params)(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise RetuneError(f"{first['loc'][0]}: {excerpt(first['input'])}: {first['msg']}") from None


def _examples(question: str | list[str], context: str | list[str]) -> list[Example]:
    """Return a question for each pair of texts.

    Raises:
        RetuneError: a text is blank, or the lists differ in length.
    """
    questions = [question] if isinstance(question, str) else [*question]
    contexts = [context] * len(questions) if isinstance(context, str) else [*context]
    if len(questions) != len(contexts):
        raise RetuneError(
            f"{len(questions)} questions, but {len(contexts)} contexts; give one context for all "
            "questions, or one for each"
        )
    for name, texts in (("question", questions), ("context", contexts)):
        for number, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise RetuneError(f"{name} {number} is {excerpt(text)}; give a text")
    pairs = zip(questions, contexts, strict=True)
    return [Example(str(row), "", text, asked, ()) for row, (asked, text) in enumerate(pairs)]


def _order(found: RankedAnswer) -> list[int | None]:
    """Return the places of the candidates, that of the chosen one first; None is no candidate."""
    places = [*range(len(found.texts))]
    first = found.texts.index(found.text) if found.text in found.texts else None
    return [first, *(place for place in places if place != first)]


def _answer(
    context: str, found: RankedAnswer, place: int | None, stated: Stated, *, widen: bool
) -> Answer:
    """Return a candidate; `place` is None for a null answer that is not among the best."""
    is_first = place == _order(found)[0]
    confidence = stated.confidence if is_first else None
    score = 0.0 if place is None else found.probability[place]
    start, end = (None, None) if place is None else (found.start[place], found.end[place])
    if start is None or end is None or (is_first and stated.is_withheld):
        return Answer(answer="", score=score, start=0, end=0, confidence=confidence)
    if widen:
        start, end = whole_span(context, start, end)
    return Answer(
        answer=context[start:end], score=score, start=start, end=end, confidence=confidence
    )
