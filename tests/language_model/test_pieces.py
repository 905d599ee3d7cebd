from hypothesis import given
from hypothesis import strategies as st
from speaking_runs import TEXTS, read, tokenizer

from retune.tasks.language_model.generate.pieces import Piece, pieces

some_bytes = st.lists(st.integers(0, 255), max_size=12)


def decode(tokens: list[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


def spread(found: list[Piece]) -> list[float]:
    return [value for piece in found for value in piece.probabilities]


@given(st.text("aé—猫🐟 \n", max_size=12), st.text("aé猫", max_size=3))
def test_each_character_is_whole(text: str, prompt: str) -> None:
    tokens = list(text.encode())
    found = pieces(decode, list(prompt.encode()), tokens, [0.5] * len(tokens))
    assert [piece.text for piece in found] == list(text)
    assert [piece.probability for piece in found] == [0.5 ** len(c.encode()) for c in text]


@given(some_bytes)
def test_nothing_is_lost_of_what_is_no_text(tokens: list[int]) -> None:
    values = [1 / (place + 2) for place in range(len(tokens))]
    found = pieces(decode, [], tokens, values)
    assert "".join(piece.text for piece in found) == decode(tokens)
    assert spread(found) == values


def test_tokens_that_are_parts_of_characters_go_together() -> None:
    generator = tokenizer()
    for text in TEXTS:
        tokens = read(generator, text)
        found = pieces(generator.decode, [], tokens, [1.0] * len(tokens))
        assert "".join(piece.text for piece in found) == text
        assert "\ufffd" not in text
    tokens = read(generator, " 🐟")
    assert len(tokens) > 2
    last = pieces(generator.decode, read(generator, "a"), tokens, [0.5] * len(tokens))[-1]
    assert last.text.strip() == "🐟"
    assert len(last.probabilities) > 1
