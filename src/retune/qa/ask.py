"""Questions of one's own to a trained reader, on a text of one's own."""

from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from retune.ask import Reply, trained_with
from retune.checkpoints import load_tokenizer
from retune.errors import RetuneError
from retune.params import Params
from retune.precision import resolved_precision
from retune.qa.answers import RankedAnswer
from retune.qa.batches import Collator
from retune.qa.examples import Example
from retune.qa.models import load
from retune.qa.postprocess import PostprocessParams, ranked_answers
from retune.qa.predict import PredictParams, predict_part
from retune.qa.tokenize import TokenizeParams, Windower
from retune.tokenizer_checks import id_count, require_vocabulary

PARAMS = "params.yaml"
MODEL = "data/qa/model"


def asker(settings: Params, folder: Path, context: str | None) -> Callable[[str], Reply]:
    """The function that answers a question about `context` with the model in `folder`.

    It does what the stages tokenize, predict and postprocess do with a question of the
    validation split.
    """
    if not (context or "").strip():
        raise RetuneError("a question is about a text: give --context FILE, a file that has one")
    text = str(context)
    with settings as params:
        lengths = params.section("qa.tokenize", TokenizeParams)
        predicting = params.section("qa.predict", PredictParams)
        reading = params.section("qa.postprocess", PostprocessParams)
    squad_v2, variant = trained_with(folder, "qa.squad_v2", "qa.model")
    model, tokenizer = load(variant, folder), load_tokenizer(folder)
    require_vocabulary(model.config.vocab_size, id_count(tokenizer), folder)
    windower = Windower(tokenizer, lengths)
    collator = Collator.for_model(model, tokenizer, resolved_precision(predicting.precision))

    def answer(question: str) -> Reply:
        example = Example("", "", text, question, ())
        part = windower.cut([example], first_row=0).windows
        bar = tqdm(total=len(part), desc="ask", unit=" windows", leave=False, delay=2)
        with bar:
            logits = predict_part(model, part, collator, predicting, bar)
        (found,) = ranked_answers([example], part, logits, reading, squad_v2)
        return _reply(question, found)

    return answer


def _reply(question: str, found: RankedAnswer) -> Reply:
    """The answer, its probability among the n best, and its characters in the context."""
    place = found.texts.index(found.text) if found.text in found.texts else None
    if place is None:  # an empty list, or a null answer that is not among the best
        score, start, end = None, None, None
    else:
        score, start, end = found.probability[place], found.start[place], found.end[place]
    fields = {
        "question": question, "answer": found.text, "score": score, "start": start, "end": end,
    }  # fmt: skip
    if start is None:
        return Reply("(no answer)" if score is None else f"(no answer)  {score:.1%}", fields)
    return Reply(f"{found.text}  {score:.1%}, characters {start} to {end}", fields)
