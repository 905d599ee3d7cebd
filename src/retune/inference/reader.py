"""`retune.Reader`: answer questions about texts with a trained model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypedDict, Unpack, overload

from retune.core.errors import RetuneError, excerpt, listed
from retune.inference.answering import DELAY, AnsweringModel, Predict
from retune.inference.confidence import Trust
from retune.inference.settings import find_model, settings_for
from retune.tasks.qa.download.word_bounds import whole_span
from retune.tasks.qa.postprocess.answers import RankedAnswer
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.tokenize.tokenize import TokenizeParams

#: The least value of each option that is a number.
_NUMBERS = {
    "top_k": 1, "max_answer_len": 1, "max_seq_len": 1, "doc_stride": 0, "max_question_len": 1,
}  # fmt: skip
_SPECIALS = 4  # the most special tokens of a window


class Answer(TypedDict):
    """An answer, with the keys of the question-answering pipeline of transformers 4.

    Attributes:
        answer: the text; "" if there is no answer, or if it is withheld.
        score: its share among the candidates, from 0 to 1.
        start: its first character in the context; 0 if there is no answer.
        end: the character behind its last.
        confidence: how probable it is that it is right, from 0 to 1; None if the model is not
            calibrated.
        abstained: whether it is withheld, because its confidence is below `min_confidence`.
    """

    answer: str
    score: float
    start: int
    end: int
    confidence: float | None
    abstained: bool


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
        # {'answer': 'the bay', 'score': 0.91, 'start': 18, 'end': 25, 'confidence': 0.74,
        #  'abstained': False}

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

    Attributes:
        model: with all that answers a question.

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
        self.model = AnsweringModel(trained, settings, least)

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, question: str, context: str, *, top_k: Literal[1] = 1, **options: Unpack[Options]
    ) -> Answer: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self,
        question: list[str],
        context: str | list[str],
        *,
        top_k: Literal[1] = 1,
        **options: Unpack[Options],
    ) -> list[Answer]: ...

    @overload
    def __call__(
        self, question: str, context: str, *, top_k: int, **options: Unpack[Options]
    ) -> list[Answer]: ...

    @overload
    def __call__(
        self,
        question: list[str],
        context: str | list[str],
        *,
        top_k: int,
        **options: Unpack[Options],
    ) -> list[list[Answer]]: ...

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
        found = self.answers(question, context, top_k, options)
        if isinstance(question, str):
            (answers,) = found
            return answers[0] if top_k == 1 else answers
        return [answers[0] for answers in found] if top_k == 1 else [*found]

    def answers(
        self,
        question: str | list[str],
        context: str | list[str],
        top_k: int,
        options: Options,
        predict: Predict | None = None,
        most_windows: int | None = None,
    ) -> Iterator[list[Answer]]:
        """Yield the best answers to each question; for servers.

        Args:
            question: see `__call__`.
            context: likewise.
            top_k: likewise.
            options: likewise.
            predict: predicts windows instead of this thread.
            most_windows: that a question may have.

        Raises:
            RetuneError: see `__call__`; or a question has too many windows.
        """
        _check_options(top_k, options)
        examples = _examples(question, context)
        model, settings = self.model, self.model.settings
        lengths = _lengths(settings.tokenize, options)
        n_best = max(top_k, settings.postprocess.n_best)
        longest = options.get("max_answer_len", settings.postprocess.max_answer_length)
        reading = replace(settings.postprocess, max_answer_length=longest, n_best=n_best)
        squad_v2 = options.get("handle_impossible_answer", model.squad_v2)
        # Confidence was fitted on answers that were found by these settings.
        own = settings.tokenize, settings.postprocess, model.squad_v2
        is_own = (lengths, reading, squad_v2) == own
        if not is_own and model.trust.min_confidence is not None:
            raise RetuneError(
                "min_confidence is for answers that the model's own settings give; leave out top_k "
                f"above {settings.postprocess.n_best} and all options but align_to_words"
            )
        trust = model.trust if is_own else Trust()
        ranked = model.ranked(
            examples, tokenize=lengths, postprocess=reading, squad_v2=squad_v2, delay=DELAY,
            predict=predict, most_windows=most_windows,
        )  # fmt: skip
        widen = options.get("align_to_words", False)
        for example, found in zip(examples, ranked, strict=True):
            stated = trust.state(found)
            if stated.is_withheld:
                yield [_no_answer(0.0, stated.confidence, abstained=True)]
                continue
            first, *others = _places(found)[:top_k]
            yield [
                _answer(example.context, found, first, stated.confidence, widen=widen),
                *(_answer(example.context, found, place, None, widen=widen) for place in others),
            ]


def _check_options(top_k: int, options: Options) -> None:
    """Refuse options that there are not, and values of a wrong type."""
    if unknown := options.keys() - Options.__optional_keys__:
        allowed = ", ".join(sorted(Options.__optional_keys__))
        raise RetuneError(f"{listed(sorted(unknown))}: no such option; allowed: {allowed}")
    numbers = {"top_k": top_k} | {key: value for key, value in options.items() if key in _NUMBERS}
    for key, value in numbers.items():
        if type(value) is not int or value < _NUMBERS[key]:
            raise RetuneError(
                f"{key} is {excerpt(value)}; give a whole number, {_NUMBERS[key]} or more"
            )
    for key in ("handle_impossible_answer", "align_to_words"):
        if not isinstance(options.get(key, False), bool):
            raise RetuneError(f"{key} is {excerpt(options.get(key))}; give True or False")


def _lengths(own: TokenizeParams, options: Options) -> TokenizeParams:
    """Return the lengths of windows. In short windows, question and overlap are shorter, too."""
    window = options.get("max_seq_len", own.max_length)
    part = max(1, window // 4)
    stride, question = own.doc_stride, own.max_question_length
    if window < own.max_length:
        stride, question = min(stride, part), min(question, part)
    lengths = replace(
        own,
        max_length=window,
        doc_stride=options.get("doc_stride", stride),
        max_question_length=options.get("max_question_len", question),
    )
    if lengths.max_length - lengths.max_question_length - _SPECIALS <= lengths.doc_stride:
        raise RetuneError(
            f"max_seq_len {lengths.max_length} less max_question_len {lengths.max_question_length} "
            f"leaves no room for more context than doc_stride {lengths.doc_stride}, the overlap of "
            "windows; raise max_seq_len, or lower the others"
        )
    return lengths


def _examples(question: str | list[str], context: str | list[str]) -> list[Example]:
    """Return a question for each pair of texts.

    Raises:
        RetuneError: a text is blank, or the lists differ in length.
    """
    questions, contexts = _texts("question", question), _texts("context", context)
    if isinstance(context, str):
        contexts *= len(questions)
    if len(questions) != len(contexts):
        raise RetuneError(
            f"there are {len(questions)} questions and {len(contexts)} contexts; give one context "
            "for all questions, or one for each"
        )
    pairs = zip(questions, contexts, strict=True)
    return [Example(str(row), "", text, asked, ()) for row, (asked, text) in enumerate(pairs)]


def _texts(name: str, given: str | list[str]) -> list[str]:
    if isinstance(given, str):
        texts = [given]
    elif isinstance(given, list | tuple):
        texts = [*given]
    else:
        raise RetuneError(f"{name} is {excerpt(given)}; give a text, or a list of texts")
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            place = name if isinstance(given, str) else f"{name} {number}"
            raise RetuneError(f"{place} is {excerpt(text)}; give a text")
    return texts


def _places(found: RankedAnswer) -> list[int | None]:
    """Return the places of the candidates, the chosen one first; None is no candidate."""
    first = found.texts.index(found.text) if found.text in found.texts else None
    return [first, *(place for place in range(len(found.texts)) if place != first)]


def _answer(
    context: str, found: RankedAnswer, place: int | None, confidence: float | None, *, widen: bool
) -> Answer:
    """Return a candidate; `place` is None for a null answer that is not among the best."""
    if place is None:
        return _no_answer(0.0, confidence)
    score, start, end = found.probability[place], found.start[place], found.end[place]
    if start is None or end is None:
        return _no_answer(score, confidence)
    if widen:
        wide = whole_span(context, start, end)
        confidence = confidence if wide == (start, end) else None  # it is another answer
        start, end = wide
    return Answer(
        answer=context[start:end], score=score, start=start, end=end, confidence=confidence,
        abstained=False,
    )  # fmt: skip


def _no_answer(score: float, confidence: float | None, *, abstained: bool = False) -> Answer:
    return Answer(
        answer="", score=score, start=0, end=0, confidence=confidence, abstained=abstained
    )
