"""`retune ask` for question answering: answer the user's questions about a text."""

from collections.abc import Callable
from pathlib import Path

from retune.core.errors import RetuneError, excerpt
from retune.core.params import Params
from retune.inference.answering import DELAY, AnsweringModel
from retune.inference.confidence import Trust
from retune.inference.settings import TrainedModel, read_settings
from retune.tasks.qa.postprocess.answers import RankedAnswer
from retune.tasks.qa.questions.examples import Example
from retune.tools.ask.asking import Reply, trained_with


def load_reader(
    settings: Params, folder: Path, min_confidence: str | None = None
) -> AnsweringModel:
    """Load the model in `folder` and the settings of tokenize, predict and postprocess.

    Answers of less than `min_confidence` are withheld; see `trust_in`.
    """
    reading = read_settings(settings)
    squad_v2, variant = trained_with(folder, {"qa.squad_v2": bool, "qa.model": str})
    return AnsweringModel(TrainedModel(folder, variant, squad_v2), reading, min_confidence)


def asker(
    settings: Params, folder: Path, context: str | None, min_confidence: str | None = None
) -> Callable[[str], Reply]:
    """Return a function that answers a question about `context`.

    It does what the stages tokenize, predict and postprocess do with a question of the
    validation split. Answers of less than `min_confidence` are withheld.
    """
    if context is None:
        raise RetuneError("a question is about a text: give --context FILE, a file that has one")
    if not context.strip():
        raise RetuneError("--context: the file is empty; name one with the text to be read")
    reader = load_reader(settings, folder, min_confidence)

    def answer(question: str) -> Reply:
        (found,) = reader.ranked([Example("", "", context, question, ())], delay=DELAY)
        return _reply(question, found, reader.kept_of(question), reader.trust)

    return answer


def _reply(question: str, found: RankedAnswer, kept: str | None, trust: Trust) -> Reply:
    """Return the answer, its confidence, its probability among the n best, and its character span.

    `kept` is what is left of a question that was cut.
    """
    place = found.texts.index(found.text) if found.text in found.texts else None
    if place is None:  # an empty list, or a null answer that is not among the best
        score, start, end = None, None, None
    else:
        score, start, end = found.probability[place], found.start[place], found.end[place]
    confidence, is_withheld = trust.state(found)
    fields = {
        "question": question, "answer": found.text, "confidence": confidence, "score": score,
        "start": start, "end": end, "abstained": is_withheld,
        "question_cut_at": None if kept is None else len(kept),
    }  # fmt: skip
    doubt = "" if kept is None else f"  (the question was cut after {excerpt(kept[-40:])})"
    if is_withheld:
        fields |= {"answer": None, "start": None, "end": None}
        least = f"{trust.min_confidence:.4g}"
        return Reply(f"(abstained)  confidence {confidence:.4g} is below {least}{doubt}", fields)
    sure = f"{score:.1%} (not calibrated)" if confidence is None else f"{confidence:.1%}"
    if start is None:
        sentence = "(no answer)" if score is None else f"(no answer)  {sure}"
    else:
        sentence = f"{found.text}  {sure}, characters {start} to {end}"
    return Reply(sentence + doubt, fields)
