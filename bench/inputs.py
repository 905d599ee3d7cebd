"""Questions, windows and logits to measure with; real text if it is beside the checkout."""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retune.core.files import write_json
from retune.core.params import Params
from retune.models.pretrained_files import PretrainedParams, load_tokenizer, resolve
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parent.parent
#: Real text, beside a checkout.
REAL = ROOT.parent / "shared" / "data"
_BUNDLED = [
    ROOT / "src/retune/corpora/encyclopaedia" / f"{name}.json" for name in ("train", "validation")
]
_FILES = (
    [REAL / "squadshifts" / "new_wiki_v1.0.json", REAL / "squad-train-sample" / "train.json"]
    if REAL.is_dir()
    else _BUNDLED
)


def questions(
    count: int, *, own_contexts: bool = False, bundled: bool = False
) -> Iterator[Example]:
    """Return `count` answerable questions with unique ids, repeating the files.

    As in SQuAD, about five questions share a context; with `own_contexts` none do. `bundled`
    takes the bundled corpus even where real text is beside the checkout.
    """
    files = _BUNDLED if bundled else _FILES
    examples = list(itertools.chain.from_iterable(map(read_squad, files)))
    for number, example in enumerate(itertools.islice(itertools.cycle(examples), count)):
        context = f"{example.context} {number}" if own_contexts else example.context
        yield replace(example, id=f"{number}-{example.id}", title="", context=context)


def read_squad(path: Path) -> Iterator[Example]:
    """Yield the questions of a SQuAD file with the answers that are at their offsets, if any."""
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        title = article.get("title", "")
        for paragraph in article["paragraphs"]:
            context = paragraph["context"]
            for qa in paragraph["qas"]:
                pairs = [(answer["text"], answer["answer_start"]) for answer in qa["answers"]]
                answers = tuple(
                    Answer(text, start)
                    for text, start in pairs
                    if context[start : start + len(text)] == text
                )
                if answers:
                    yield Example(str(qa["id"]), title, context, qa["question"], answers)


def write_raw(folder: Path, test: Iterable[Example], train: Iterable[Example]) -> Path:
    """Write what the download stage would, and return the folder."""
    write_examples(folder / "test.jsonl", test)
    write_examples(folder / "train.jsonl", train)
    return folder


def settings() -> tuple["PreTrainedTokenizerFast", TokenizeParams]:
    """The project's own tokenizer and lengths."""
    with Params(ROOT / "params.yaml") as params:
        pretrained = params.section("qa.checkpoint", PretrainedParams)
        lengths = params.section("qa.tokenize", TokenizeParams)
    return load_tokenizer(resolve(pretrained)), lengths


def write_features(raw: Path, folder: Path) -> Path:
    """Run the tokenize stage, and return the folder of features."""
    tokenizer, lengths = settings()
    tokenize(
        raw,
        folder,
        folder.with_suffix(".json"),
        tokenizer=tokenizer,
        params=lengths,
        scoring=ScoreParams(normalizer="squad"),
        squad_v2=False,
    )
    return folder


def write_logits(folder: Path, windows: int, tokens: int) -> np.ndarray[Any, Any]:
    """Write random logits as the predict stage would, and return them, shape (tokens, 2)."""
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).normal(0, 3, (tokens, 2)).astype(np.float32)
    np.save(folder / "logits.npy", values)
    write_json(folder / "windows.json", {"windows": windows, "tokens": tokens})
    return values
