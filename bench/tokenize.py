"""The tokenize stage against `encode_batch` of `tokenizers`, in windows a second.

retune's side is the whole stage: it reads JSON lines, cuts windows, audits them and writes Arrow.
The other side only encodes (question, context) pairs in memory, with the same truncation and
stride, and does not read the result. Both use all cores. retune encodes a context once for all its
questions (about five in SQuAD); with "own contexts" each question has its own, so that this saves
nothing. The questions are real, repeated with new ids.
"""

import tempfile
import time
from functools import partial
from pathlib import Path

from bench.inputs import questions, settings, write_features, write_raw
from bench.measure import Comparison, alternate, parser, report
from retune.core.files import remove
from retune.tasks.qa.questions.examples import Example
from retune.tasks.qa.windows.features import count_windows

_BATCH = 1000


def main() -> None:
    arguments = parser("tokenize", "The tokenize stage against encode_batch of tokenizers.")
    arguments.add_argument("--questions", type=int, default=80_000, help="(default: 80000)")
    options = arguments.parse_args()
    shared, own = partial(questions, own_contexts=False), partial(questions, own_contexts=True)
    comparisons = [
        compare("validation", list(shared(options.questions)), options.rounds, 0.8),
        compare("train", list(shared(options.questions // 4)), options.rounds, 0.8),
        compare("own contexts", list(own(options.questions // 4)), options.rounds, None),
    ]
    report("tokenize", comparisons, options, questions=options.questions)


def compare(name: str, examples: list[Example], rounds: int, goal: float | None) -> Comparison:
    """Both sides on the same questions."""
    pairs = [(example.question.lstrip(), example.context) for example in examples]
    split = "train" if name == "train" else "test"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        few = examples[:1]
        both = (few, examples) if split == "train" else (examples, few)
        raw = write_raw(work / "raw", *both)

        def ours() -> float:
            remove(work / "features")
            begin = time.perf_counter()
            features = write_features(raw, work / "features")
            seconds = time.perf_counter() - begin
            return count_windows(features / f"{split}.arrow")["windows"] / seconds

        return alternate(
            f"tokenize, {name}",
            "windows/s",
            {"ours": ours, "encode_batch": partial(encode, pairs)},
            rounds,
            {"encode_batch": goal} if goal else None,
        )


def encode(pairs: list[tuple[str, str]]) -> float:
    """Windows a second of `tokenizers` alone."""
    tokenizer, lengths = settings()
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(lengths.max_length, stride=lengths.doc_stride, strategy="only_second")
    windows, begin = 0, time.perf_counter()
    for low in range(0, len(pairs), _BATCH):
        encodings = backend.encode_batch(pairs[low : low + _BATCH])
        windows += sum(1 + len(encoding.overflowing) for encoding in encodings)
    return windows / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
