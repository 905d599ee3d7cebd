"""Stage `perturb`: how often a small change of question or passage changes the answer.

The perturbed questions of all kinds are answered together (`retune.tasks.qa.answer`). The stage
postprocess has answered the unperturbed ones. Figures are paired by question, and intervals come
from the bootstrap over passages. Each interval is for one kind: about one in twenty misses its true
value.
"""

import dataclasses
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from retune.core.files import (
    read_json,
    read_json_lines,
    write_csv,
    write_json,
    write_json_lines,
)
from retune.core.params import STRICT, NotNegative, Seed
from retune.tasks.qa.analyse.errors import Prediction, predicted
from retune.tasks.qa.answer.answer import Answering, answer
from retune.tasks.qa.perturb.figures import (
    BASELINE,
    MODEL,
    TABLE,
    Answered,
    Pair,
    figures,
    table_rows,
)
from retune.tasks.qa.perturb.first_candidate import first_candidate
from retune.tasks.qa.perturb.kinds import kinds
from retune.tasks.qa.perturb.passages import in_original
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.questions.examples import Example, read_examples
from retune.tasks.qa.questions.splits import SCORED
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams, evaluate_answers


@dataclass(frozen=True, config=STRICT)
class PerturbParams:
    """Section `qa.perturb`.

    Attributes:
        questions: about how many test questions to perturb; whole passages are drawn until there
            are as many. 0: none, and all figures are empty.
        seed: of the passages and of what is random in a perturbation.
    """

    questions: NotNegative
    seed: Seed


def perturb(
    test: Path,
    predictions: Path,
    metrics: Path,
    table: Path,
    questions: Path,
    params: PerturbParams,
    *,
    answering: Answering,
) -> str:
    """Perturb test questions, answer them again, and compare the answers.

    Args:
        test: folder with the test questions.
        predictions: folder with the answers to them.
        metrics: file to write, with the figures of each kind and reader.
        table: file to write, with the main figures as CSV for a plot.
        questions: folder to write, with each perturbed question and its answers.
        params: how many questions to perturb.
        answering: how they are answered, and compared.

    Of several processes, each makes the same windows, and the first one compares and writes.

    Raises:
        RetuneError: questions and answers do not belong together.
    """
    examples = [*read_examples(test / f"{SCORED}.jsonl")]
    scoring = answering.scoring
    drawn = drawn_questions(examples, params)
    pairs = perturbed(drawn, examples, params.seed)
    with answering.share.output(questions) as folder:
        folder.mkdir()
        before = _known(drawn, predictions, scoring, answering.squad_v2) if pairs else {}
        later = _answers(pairs, folder / "work", answering) if pairs else {}
        if not answering.share.is_first:
            return ""
        firsts = {e.id: _first(e).text for e in drawn}
        firsts_later = {_id(pair): _first(pair.after) for pair in pairs}
        found = {
            MODEL: _answered(drawn, pairs, before, later, scoring, answering.squad_v2),
            BASELINE: _answered(drawn, pairs, firsts, firsts_later, scoring, answering.squad_v2),
        }
        rows = (_row(p, each) for p, each in zip(pairs, found[MODEL], strict=True))
        write_json_lines(folder / QUESTIONS, rows)
    rates = [*figures(pairs, found)]
    passages = len({example.context for example in drawn})
    about = {"questions": len(drawn), "passages": passages, "seed": params.seed}
    write_json(metrics, {"qa": {"perturbations": rates, "perturbed": [about]}})
    write_csv(table, TABLE, [*table_rows(rates)])
    return _sentence(rates, about)


def drawn_questions(examples: Sequence[Example], params: PerturbParams) -> list[Example]:
    """Return the questions of some passages, in the order of the split."""
    contexts = list(dict.fromkeys(example.context for example in examples))
    draw = random.Random(f"{params.seed} passages")
    order = sorted((draw.random(), place) for place in range(len(contexts)))
    sizes: dict[str, int] = {}
    for example in examples:
        sizes[example.context] = sizes.get(example.context, 0) + 1
    chosen, count = set[str](), 0
    for _, place in order:
        if count >= params.questions:
            break
        chosen.add(contexts[place])
        count += sizes[contexts[place]]
    return [example for example in examples if example.context in chosen]


def perturbed(drawn: Sequence[Example], split: Sequence[Example], seed: int) -> list[Pair]:
    """Return each drawn question with its perturbation by each kind that applies to it.

    The random numbers depend on the seed, the kind and the question alone.
    """
    others = list({example.context: example for example in split}.values())
    pairs = []
    for kind in kinds(others):
        for example in drawn:
            draw = random.Random(f"{seed} {kind.name} {example.id}")
            if after := kind.perturb(example, draw):
                pairs.append(Pair(kind, example, after))
    return pairs


def _id(pair: Pair) -> str:
    return f"{pair.kind.name}:{pair.before.id}"


def _known(
    drawn: Sequence[Example], predictions: Path, scoring: ScoreParams, squad_v2: bool
) -> dict[str, str]:
    """Return the stored answers to the drawn questions; refuse those of other questions."""
    texts = read_json(predictions / "predictions.json")
    found = {example.id: texts[example.id] for example in drawn if example.id in texts}
    _f1s({example.id: example for example in drawn}, found, scoring, squad_v2)
    return found


def _first(example: Example) -> Prediction:
    """Return the answer of the baseline."""
    low, high = first_candidate(example.question, example.context)
    return Prediction(example.context[low:high], (low, high))


def _answers(pairs: Sequence[Pair], work: Path, answering: Answering) -> dict[str, Prediction]:
    """Return the model's answers to the perturbed questions. `work` is removed.

    Only the first process reads the answers off the logits; the others return none. What a
    perturbed passage loses counts as a change of the answer.
    """
    asked = (dataclasses.replace(pair.after, id=_id(pair)) for pair in pairs)
    predictions = answer(asked, work, answering)
    if not answering.share.is_first:
        return {}
    texts: dict[str, str] = read_json(predictions / "predictions.json")
    ranked = {row["id"]: row["candidates"] for row in read_json_lines(predictions / N_BEST)}
    shutil.rmtree(work)
    return {id_: predicted(text, ranked[id_]) for id_, text in texts.items()}


def _answered(
    drawn: Sequence[Example],
    pairs: Sequence[Pair],
    before: Mapping[str, str],
    after: Mapping[str, Prediction],
    scoring: ScoreParams,
    squad_v2: bool,
) -> list[Answered]:
    """Return the answers of one reader, by pair."""
    if not pairs:
        return []
    tokens = NORMALIZERS[scoring.normalizer]
    first = _f1s({example.id: example for example in drawn}, before, scoring, squad_v2)
    texts = {id_: prediction.text for id_, prediction in after.items()}
    second = _f1s({_id(pair): pair.after for pair in pairs}, texts, scoring, squad_v2)
    found = []
    for pair in pairs:
        id_, later = pair.before.id, after[_id(pair)]
        is_same = tokens(before[id_]) == tokens(_as_original(pair, later))
        found.append(Answered(before[id_], later.text, is_same, first[id_], second[_id(pair)]))
    return found


def _as_original(pair: Pair, given: Prediction) -> str:
    """Return an answer in the spelling of the original passage."""
    if given.span is None or not pair.kind.keeps_words:
        return given.text
    return in_original(pair.before.context, pair.after.context, given.span)


def _f1s(
    asked: Mapping[str, Example], texts: Mapping[str, str], scoring: ScoreParams, squad_v2: bool
) -> dict[str, float]:
    """Return the F1 of the answer to each question, in percent, by id."""
    gold = [(id_, [answer.text for answer in e.answers]) for id_, e in asked.items()]
    scores = evaluate_answers(gold, texts, squad_v2=squad_v2, normalizer=scoring.normalizer)
    return dict(zip(scores.ids, (100.0 * scores.f1s).tolist(), strict=True))


def _row(pair: Pair, answered: Answered) -> dict[str, Any]:
    """Return the line of a perturbed question; it has the passage only if that has changed."""
    keeps_gold = pair.kind.keeps_gold
    row: dict[str, Any] = {
        "id": pair.before.id,
        "kind": pair.kind.name,
        "question": pair.after.question,
        "gold": list(dict.fromkeys(answer.text for answer in pair.after.answers)),
        "before": answered.before,
        "after": answered.after,
        "unchanged": answered.unchanged,
        "f1_before": answered.f1_before,
        "f1_after": answered.f1_after if keeps_gold else None,
    }
    if pair.after.context != pair.before.context:
        row["context"] = pair.after.context
    return row


def _sentence(rates: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> str:
    rows = [row for row in rates if row["reader"] == MODEL]
    if not rows:
        return "no question is perturbed: qa.perturb.questions is 0, or no kind applies"
    least = min(rows, key=lambda row: row["unchanged"])
    return (
        f"{sum(row['questions'] for row in rows):,} perturbed questions of {about['questions']:,}; "
        f"fewest answers stay the same for {least['perturbation']} ({least['unchanged']:.0f} %)"
    )
