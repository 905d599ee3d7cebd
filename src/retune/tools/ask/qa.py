"""`retune ask` for question answering: answer the user's questions about a text."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from retune.core.errors import RetuneError, excerpt
from retune.core.params import Params
from retune.models.precision import resolved_precision
from retune.models.pretrained_files import load_tokenizer
from retune.models.tokenizer_checks import id_count, require_vocabulary
from retune.tasks.qa.postprocess.answers import RankedAnswer
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, ranked_answers
from retune.tasks.qa.predict.batches import Collator
from retune.tasks.qa.predict.predict import PredictParams, predict_part
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, Windower
from retune.tools.ask.asking import Reply, trained_with
from retune.tools.ask.confidence import Trust, trust_in

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Reader(NamedTuple):
    """A trained model with what the stages tokenize, predict and postprocess need."""

    model: "PreTrainedModel"
    windower: Windower
    collator: Collator
    predicting: PredictParams
    postprocessing: PostprocessParams
    squad_v2: bool
    trust: Trust


def load_reader(settings: Params, folder: Path, min_confidence: str | None = None) -> Reader:
    """Load the model in `folder` and the settings of tokenize, predict and postprocess.

    Answers of less than `min_confidence` are withheld; see `trust_in`.
    """
    with settings as params:
        lengths = params.section("qa.tokenize", TokenizeParams)
        predicting = params.section("qa.predict", PredictParams)
        postprocessing = params.section("qa.postprocess", PostprocessParams)
    squad_v2, variant = trained_with(folder, {"qa.squad_v2": bool, "qa.model": str})
    trust = trust_in(folder, postprocessing, min_confidence)
    model, tokenizer = load(variant, folder), load_tokenizer(folder)
    require_vocabulary(model.config.vocab_size, id_count(tokenizer), folder)
    windower = Windower(tokenizer, lengths)
    collator = Collator.for_model(model, tokenizer, resolved_precision(predicting.precision))
    return Reader(model, windower, collator, predicting, postprocessing, squad_v2, trust)


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
        example = Example("", "", context, question, ())
        cut = reader.windower.cut([example], first_row=0)
        part = cut.windows
        bar = tqdm(total=len(part), desc="ask", unit=" windows", leave=False, delay=2)
        with bar:
            logits = predict_part(reader.model, part, reader.collator, reader.predicting, bar)
        options = reader.postprocessing, reader.squad_v2
        (found,) = ranked_answers([example], part, logits, *options)
        kept = reader.windower.kept_of(question) if cut.question_cut[0] else None
        return _reply(question, found, kept, reader.trust)

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
