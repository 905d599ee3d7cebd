"""For any text: a label is the least run of tokens that holds its answer, or it is counted."""

from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from runs import TOKENIZE

from retune.tasks.qa.questions.examples import Answer, Example
from retune.tasks.qa.tokenize.audit import Audit
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, Windower
from retune.tasks.qa.windows.token_offsets import is_mark
from retune.tasks.qa.windows.windows import Features

SCRIPTS = {
    "latin": "aZ é\u0301ßİ\u0131 ﬁ'.-1",
    "cjk": "中文。语 東京ガー한글\u1112\u1161\u11ab ",
    "arabic": "مرحبا ّ\u064e\u200f ،٣",
    "devanagari": "हिन्दी कु\u093c ।क्ष\u200d",
    "emoji": "😀💩👩\u200d👧🏽\ufe0f❤🇳🇴 x",
}
TEXTS = st.sampled_from(sorted(SCRIPTS)).flatmap(
    lambda name: st.text(st.sampled_from(SCRIPTS[name]), min_size=1, max_size=80)
)
MIXED = st.text(st.sampled_from("".join(SCRIPTS.values())), min_size=1, max_size=80)
ANY = st.text(min_size=1, max_size=80)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, int, int]:
    """A context, and where in it an answer begins and ends."""
    context = draw(st.one_of(TEXTS, MIXED, ANY))
    start = draw(st.integers(0, len(context) - 1))
    return context, start, draw(st.integers(start + 1, len(context)))


# The last token of the first window is the space within the answer, of which nothing is left.
SPACE_AT_AN_EDGE = "،" * 11 + "\u200f\u200f ،،،", 0, 15


@cache
def windower(kind: str, length: int) -> Windower:
    """Windows of `length` tokens; the word pieces know every character of the scripts."""
    import tiny
    from transformers import BertTokenizer

    letters = sorted(set("".join(SCRIPTS.values()).lower()) - {" "})
    pieces = [*("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "aa", "##文语", "中文")]
    pieces += [*letters, *(f"##{letter}" for letter in letters)]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    options: dict[str, Any] = {"vocab": vocab, "model_max_length": 512}
    tokenizers = {
        "wordpiece": lambda: BertTokenizer(**options),
        "cased wordpiece": lambda: BertTokenizer(**options, do_lower_case=False),
        "byte_level": tiny.byte_level,
    }
    changes = {"max_length": length, "doc_stride": 6}
    return Windower(tokenizers[kind](), TokenizeParams(**(TOKENIZE | changes)))


@pytest.mark.parametrize("kind", ["wordpiece", "cased wordpiece", "byte_level"])
@settings(max_examples=250)
@given(answer=answers(), length=st.sampled_from([28, 60, 400]))
@example(answer=SPACE_AT_AN_EDGE, length=28)
def test_a_label_holds_its_answer_and_no_token_more(
    kind: str, answer: tuple[str, int, int], length: int
) -> None:
    context, start, end = answer
    text = context[start:end]
    assume(text == text.strip() != "")
    example = Example("q", "", context, "Who?", (Answer(text, start),))
    cut = windower(kind, length).cut([example], first_row=0)
    notes: list[dict[str, Any]] = []
    audit = Audit("test", notes.append, "squad", squad_v2=False)
    audit.add([example], *cut)

    labels = [label_of(cut.windows, window, start, end) for window in range(
        len(cut.windows))]  # fmt: skip
    texts = {whole(context, *label) for label in labels if label}
    assert len(texts) <= 1  # all windows that hold the answer agree
    counted = Counter(note["kind"] for note in notes)
    assert counted["answer_in_no_window"] == (not texts)
    assert counted["label_widened"] == (texts not in ({text}, set()))
    # What a token more or less does to the text is seen, too, by the ceiling.
    assert (audit.summary()["ceiling_exact_match"] == 100.0) or counted


def label_of(windows: Features, window: int, start: int, end: int) -> tuple[int, int] | None:
    """Characters of a window's label; checked against all tokens that touch the answer."""
    begin = int(windows.window_tokens()[window])
    first, last = int(windows.start_position[window]), int(windows.end_position[window])
    low, high = int(windows.context_start[window]), int(windows.context_end[window])
    chars = [
        (int(windows.char_start[begin + token]), int(windows.char_end[begin + token]))
        for token in range(low, high)
    ]
    filled = [low + i for i, (a, b) in enumerate(chars) if a < b]  # white space is empty
    touching = [n for n in filled if chars[n - low][0] < end and start < chars[n - low][1]]
    if first == windows.cls[window]:
        assert last == first
        # Nothing to be labelled, or cut by an edge with another window behind it.
        assert (
            not touching
            or (window > 0 and touching[0] == filled[0])
            or (window < len(windows) - 1 and touching[-1] == filled[-1])
        )
        return None
    assert low <= first <= last < high
    assert (first, last) == (touching[0], touching[-1])
    return chars[first - low][0], chars[last - low][1]


def whole(context: str, start: int, end: int) -> str:
    """The text with the marks that belong to its last letter."""
    while end < len(context) and is_mark(context[end]):
        end += 1
    return context[start:end]
