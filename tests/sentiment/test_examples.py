"""The canonical form of sentences."""

from pathlib import Path

from retune.tasks.sentiment.texts.examples import LABELS, Example, read_examples, write_examples

EXAMPLES = [
    Example("1", "Ça va, said “she”\nand left.", 1, None, None),
    Example("1.rules.0", "It goes.", 0, "1", "rules"),
]


def test_examples_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    assert write_examples(path, EXAMPLES) == 2
    assert list(read_examples(path)) == EXAMPLES


def test_a_line_has_the_five_keys_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_examples(path, EXAMPLES[1:])
    expected = '{"id":"1.rules.0","label":0,"method":"rules","source":"1","text":"It goes."}\n'
    assert path.read_text(encoding="utf-8") == expected


def test_positive_is_1() -> None:
    assert LABELS.index("positive") == 1
