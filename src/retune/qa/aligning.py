"""Where an answer stands in its context, and where it certainly should stand."""

import unicodedata

from retune.errors import excerpt
from retune.qa.examples import Answer

#: How far, in characters, an offset may be off and still be mended by shifting it.
REACH = 2


def is_aligned(context: str, answer: Answer) -> bool:
    """Whether the context has the answer's text at its offset."""
    return answer.start >= 0 and context.startswith(answer.text, answer.start)


def trimmed(answer: Answer) -> Answer:
    """The same place without the white space at the answer's edges."""
    left = answer.text.lstrip()
    return Answer(left.rstrip(), answer.start + len(answer.text) - len(left))


def realigned(context: str, answer: Answer) -> Answer | None:
    """The answer at the only place where it can stand, or None where that is not certain.

    In this order: the only offset within `REACH` characters; the only occurrence in the
    context; the only occurrence of a canonically equivalent text (Unicode NFD), such as
    a composed letter in the answer and letter and accent in the context. The text that
    is given back is always the context's own.
    """
    text = answer.text
    first = max(answer.start - REACH, 0)
    near = [s for s in range(first, answer.start + REACH + 1) if context.startswith(text, s)]
    places = near or occurrences(context, text, limit=2)
    if len(places) == 1:
        return Answer(text, places[0])
    return None if places else _equivalent(context, text)


def placed(context: str, answer: Answer, realign: bool) -> Answer | None:
    """The answer trimmed and at its place, or None for one that is and stays misaligned.

    Without `realign` only the edges of an aligned answer are mended.
    """
    core = trimmed(answer)
    if is_aligned(context, answer):
        return core
    return realigned(context, core) if realign else None


def occurrences(context: str, text: str, limit: int) -> list[int]:
    """The first `limit` offsets of `text` in `context`, overlapping ones too."""
    places: list[int] = []
    place = context.find(text)
    while place >= 0 and len(places) < limit:
        places.append(place)
        place = context.find(text, place + 1)
    return places


def explain(context: str, answer: Answer) -> str:
    """Why a misaligned answer is none, where its text does stand, and what would mend it."""
    text, start = answer.text, answer.start
    if start < 0:
        there = "a negative offset"
    elif start >= len(context):
        there = f"behind the context's end at {len(context)}"
    else:
        there = f"where the context has {excerpt(context[start : start + len(text)])}"
    core = trimmed(answer)
    moved = realigned(context, core)
    if moved is not None:
        advice = f"`qa.download.realign: true` would move it to offset {moved.start}"
    else:
        places = occurrences(context, core.text, limit=4)
        more = " and more" if len(places) > 3 else ""
        stands = f"at offsets {', '.join(map(str, places[:3]))}{more}" if places else "nowhere"
        advice = f"it stands {stands}, so mend text or offset by hand"
    return f"answer {excerpt(text)} is not at offset {start}, {there}; {advice}"


def _equivalent(context: str, text: str) -> Answer | None:
    pieces = [unicodedata.normalize("NFD", character) for character in context]
    owners = [number for number, piece in enumerate(pieces) for _ in piece]
    wanted = unicodedata.normalize("NFD", text)
    places = occurrences("".join(pieces), wanted, limit=2)
    if len(places) != 1 or not wanted:
        return None
    start, end = owners[places[0]], owners[places[0] + len(wanted) - 1] + 1
    found = context[start:end]
    # The match may begin or end inside a character, which then says more than the answer.
    return Answer(found, start) if unicodedata.normalize("NFD", found) == wanted else None
