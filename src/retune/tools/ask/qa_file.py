"""`retune ask --data`: answer all questions of a file, which needs no gold answers."""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.core.files import atomic_path, json_lines_writer, write_json, write_json_texts
from retune.core.memory import keep_freed_memory
from retune.core.params import Params
from retune.inference.confidence import Trust
from retune.tasks.qa.download.checking import Rules
from retune.tasks.qa.download.single_file import read_checked
from retune.tasks.qa.postprocess.answers import Counts, RankedAnswer
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.task import ASKER
from retune.tools.ask.asking import require_trained_as
from retune.tools.ask.qa import load_reader

#: The files in the output folder.
FILES = ("predictions.json", "confidences.json", N_BEST, "report.json")


def run(arguments: argparse.Namespace) -> int:
    """Run `retune ask --data FILE`.

    Raises:
        RetuneError: for a wrong command line, and what `ask_file` raises.
    """
    data = arguments.data
    if data is None:
        raise RetuneError("--out is for the answers to --data FILE; give both")
    if arguments.task != ASKER.name or arguments.texts or arguments.context:
        raise RetuneError(
            "--data FILE has questions and contexts of its own: no TEXT and no --context beside "
            "it, and --task qa only"
        )
    out = arguments.out or Path(f"{data.stem}-answers")
    settings = {name: getattr(arguments, name) for name in ("model", "params", "variant")}
    settings["min_confidence"] = arguments.min_confidence
    counts = ask_file(data, out, **settings)
    sentence = f"{out / FILES[0]}: {counts['sentence']}"
    print(json.dumps(counts, ensure_ascii=False) if arguments.json else sentence)
    return 0


def ask_file(
    data: Path,
    out: Path,
    *,
    model: Path | None = None,
    params: Path | None = None,
    variant: str | None = None,
    min_confidence: str | None = None,
) -> dict[str, Any]:
    """Answer each question of the file `data`, and write the stages' files to the folder `out`.

    These are `predictions.json` (text by id, as the official scripts take it), `nbest.jsonl`,
    `report.json`, and for a calibrated model `confidences.json` (by id). Only a thousand questions'
    windows are in memory at a time.

    Args:
        data: a file of any form that is read; reference answers in it are ignored.
        out: appears whole or not at all. A folder with anything else in it is refused.
        model: folder that a train stage wrote; by default the pipeline's own.
        params: params file to ask the model with; by default the pipeline's own.
        variant: which of the file's `variants` changes them.
        min_confidence: answers of less confidence are withheld: their text is "".

    Returns:
        Where the answers are, their counts, and the closing `sentence`.

    Raises:
        RetuneError: for a file that cannot be read, once for all errors in its questions, and
            for an `out` that is not to be replaced.
    """
    _require_replaceable(out)
    settings, folder = Params(params or ASKER.params, variant), model or Path(ASKER.model)
    require_trained_as(variant, settings, folder)
    examples = read_questions(data)
    reader = load_reader(settings, folder, min_confidence)
    keep_freed_memory()
    ranked, counts = reader.ranked(examples), Counts()
    cut = [example.id for example in examples if reader.kept_of(example.question) is not None]
    with atomic_path(out) as folder:
        folder.mkdir()
        withheld = _write(folder, ranked, reader.trust, counts)
        report = counts.report() | {"question_cut": cut, "withheld": withheld}
        write_json(folder / "report.json", report)
    sentence = counts.sentence()
    if cut:
        sentence += f"; {len(cut):,} questions cut to max_question_length: {listed(cut)}"
    if withheld:
        sentence += f"; {len(withheld):,} more withheld, for too little confidence"
    return {"out": str(out), "sentence": sentence} | report


def _write(folder: Path, ranked: Iterable[RankedAnswer], trust: Trust, counts: Counts) -> list[str]:
    """Write the answers with their n-best lists; return the ids of those that are withheld."""
    withheld, confidences = list[str](), dict[str, float]()
    with json_lines_writer(folder / N_BEST) as write:

        def texts() -> Iterator[tuple[str, str]]:
            for answer in ranked:
                write(answer.line())
                counts.add(answer)
                confidence, is_withheld = trust.state(answer)
                if confidence is not None:
                    confidences[answer.id] = confidence
                if is_withheld:
                    withheld.append(answer.id)
                yield answer.id, "" if is_withheld else answer.text

        write_json_texts(folder / FILES[0], texts())
    if confidences:
        write_json(folder / "confidences.json", confidences)
    return withheld


def read_questions(data: Path) -> list[Example]:
    """Read the questions of a file without their answers.

    Raises:
        RetuneError: for a file that cannot be read, and once for all errors in its questions.
    """
    rules = Rules(squad_v2=True, realign=False, drop_unanswerable=False)
    return read_checked(data, rules, answers=False)


def _require_replaceable(out: Path) -> None:
    """Raise an error if `out` has files that `ask_file` did not write."""
    if out.is_dir() and not (others := {path.name for path in out.iterdir()} - set(FILES)):
        return
    if out.exists():
        what = f"holds {listed(sorted(others))}" if out.is_dir() else "is a file"
        raise RetuneError(f"{out}: {what}, so it is not replaced; give --out another folder")
