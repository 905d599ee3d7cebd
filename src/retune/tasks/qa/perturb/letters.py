"""Other cases of letters, and typing errors."""

import random
import re

_SHORTEST = 4  # letters of a word with a typing error
_TYPED = re.compile(rf"(?<![^\W_])[A-Za-z]{{{_SHORTEST},}}(?![^\W_])")
#: Letters beside each letter on a keyboard (QWERTY).
_NEIGHBOURS = {
    "a": "qsz", "b": "vgn", "c": "xdv", "d": "sfe", "e": "wrd", "f": "dgr", "g": "fht", "h": "gjy",
    "i": "uok", "j": "hku", "k": "jli", "l": "ko", "m": "nj", "n": "bmh", "o": "ipl", "p": "ol",
    "q": "wa", "r": "etf", "s": "adw", "t": "ryg", "u": "yij", "v": "cbf", "w": "qes", "x": "zcs",
    "y": "tuh", "z": "xa",
}  # fmt: skip


def upper(text: str) -> str:
    """Return a text of the same length in capitals; see `_same_letter`."""
    return "".join(_same_letter(letter, letter.upper()) for letter in text)


def lower(text: str) -> str:
    """Return a text of the same length in small letters."""
    return "".join(_same_letter(letter, letter.lower()) for letter in text)


def mixed(text: str, draw: random.Random) -> str:
    """Return a text of the same length in which each letter is a capital with a chance of half."""
    capitals = (draw.random() < 0.5 for _ in text)
    return "".join(
        _same_letter(letter, letter.upper() if capital else letter.lower())
        for letter, capital in zip(text, capitals, strict=True)
    )


def _same_letter(letter: str, other: str) -> str:
    """Return a letter in its other case, if that is one character with the same small letter.

    The capital of ß has two characters, and so has the small letter of İ. They stay, so that
    answers keep their places.
    """
    return other if len(other) == 1 and other.lower() == letter.lower() else letter


def typed_words(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each word that may get a typing error: four letters or more."""
    return [match.span() for match in _TYPED.finditer(text)]


def mistyped(word: str, draw: random.Random) -> str:
    """Return a word with a typing error behind its first letter.

    Two letters are swapped, or a letter is left out, doubled, or replaced by its neighbour on the
    keyboard.
    """
    place = 1 + int(draw.random() * (len(word) - 2))
    head, letter, following, tail = word[:place], word[place], word[place + 1], word[place + 2 :]
    beside = _NEIGHBOURS[letter.lower()]
    near = beside[int(draw.random() * len(beside))]
    errors = [
        letter + letter + following,
        (near.upper() if letter.isupper() else near) + following,
        following,
        *([following + letter] if letter != following else []),
    ]
    return head + errors[int(draw.random() * len(errors))] + tail
