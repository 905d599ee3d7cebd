"""Find where an answer is in its context, and where it certainly should be."""

from retune.core.errors import excerpt, listed
from retune.tasks.qa.download import spellings
from retune.tasks.qa.download.word_bounds import is_whole, whole_words
from retune.tasks.qa.questions.examples import Answer

#: An offset that is off by at most so many characters is corrected by shifting it.
MAX_SHIFT = 2
#: An answer of at least so many whole words may begin or end inside a word.
PHRASE = 2


def is_aligned(context: str, answer: Answer) -> bool:
    """Whether the context has the answer's text at its offset."""
    return answer.start >= 0 and context.startswith(answer.text, answer.start)


def trimmed(answer: Answer) -> Answer:
    """The same place without the white space at the answer's edges."""
    left = answer.text.lstrip()
    return Answer(left.rstrip(), answer.start + len(answer.text) - len(left))


def realigned(context: str, answer: Answer) -> Answer | None:
    """The answer at the only place where it can be, or None if that is not certain.

    The first of these rules that finds a place decides:

    1. another spelling at the offset itself (`retune.tasks.qa.download.spellings`: case, quotes,
       blanks, ...);
    2. the only place within `MAX_SHIFT` characters, first as spelt, then in another spelling;
    3. the only place in the context, likewise.

    A place that begins or ends inside a word does not count, unless it is within `MAX_SHIFT` and
    the answer has `PHRASE` whole words or more. If the answer as spelt is inside a word within
    `MAX_SHIFT`, another spelling elsewhere is not certain. The returned text is the context's own.
    """
    verbatim = [Answer(answer.text, start) for start in occurrences(context, answer.text)]
    if answer in verbatim:
        return answer
    alike = _possible(context, answer, _alike(context, answer.text))
    exact = _possible(context, answer, verbatim)
    if there := [place for place in alike if place.start == answer.start]:
        return there[0]
    if not exact and _near(answer, verbatim):
        return None
    for places in (*(_near(answer, places) for places in (exact, alike)), exact, alike):
        if places:
            return places[0] if len(places) == 1 else None
    return None


def placed(context: str, answer: Answer, realign: bool) -> Answer | None:
    """Return the answer trimmed and at its place, or None if it stays misaligned.

    Without `realign` only the edges of an aligned answer are corrected.
    """
    core = trimmed(answer)
    if is_aligned(context, answer):
        return core
    return realigned(context, core) if realign else None


def occurrences(context: str, text: str) -> list[int]:
    """The offsets of `text` in `context`, overlapping ones too."""
    places: list[int] = []
    place = context.find(text)
    while place >= 0:
        places.append(place)
        place = context.find(text, place + 1)
    return places


def misalignment(context: str, answer: Answer) -> str:
    """The kind of finding for a misaligned answer: another spelling, or another place."""
    core = trimmed(answer)
    moved = realigned(context, core)
    return "not_verbatim" if moved and moved.text != core.text else "misaligned"


def explain(context: str, answer: Answer) -> str:
    """Say what is wrong with a misaligned answer, where its text is, and what would correct it."""
    core = trimmed(answer)
    moved = realigned(context, core)
    if moved is not None and moved.text != core.text:
        return (
            f"answer {excerpt(answer.text)} is at offset {moved.start} except for "
            f"{spelt(core, moved)}; `qa.download.realign: true` would take the context's own "
            "characters"
        )
    return f"answer {excerpt(answer.text)} is not at {_elsewhere(context, answer)}; " + (
        f"`qa.download.realign: true` would move it to offset {moved.start}"
        if moved
        else _doubt(context, core.text)
    )


def spelt(answer: Answer, moved: Answer) -> str:
    """Name the differences between an answer and the context's own text, and quote that text."""
    names = listed(spellings.differences(answer.text, moved.text))
    return f"{names}, as {excerpt(moved.text)}"


def _elsewhere(context: str, answer: Answer) -> str:
    text, start = answer.text, answer.start
    if start < 0:
        there = "a negative offset"
    elif start >= len(context):
        there = f"behind the context's end at {len(context)}"
    else:
        there = f"where the context has {excerpt(context[start : start + len(text)])}"
    return f"offset {excerpt(start)}, {there}"


def _doubt(context: str, text: str) -> str:
    """Say where a text is if no place is certain."""
    places = [Answer(text, start) for start in occurrences(context, text)]
    places = places or _alike(context, text)
    if not places:
        return "it is nowhere in the context, so correct text or offset by hand"
    more = " and more" if len(places) > 3 else ""
    whole = any(is_whole(context, place.start, place.end) for place in places)
    inside = "" if whole else "inside words only, "
    shown = ", ".join(str(place.start) for place in places[:3])
    return f"it is {inside}at offsets {shown}{more}, so correct text or offset by hand"


def _alike(context: str, text: str) -> list[Answer]:
    """The places of `text` in any spelling."""
    found = spellings.spans(context, text)
    places = (trimmed(Answer(context[start:end], start)) for start, end in found)
    return [place for place in places if place.text]


def _possible(context: str, answer: Answer, places: list[Answer]) -> list[Answer]:
    """The places that do not cut words, and near places of phrases that are cut at an edge."""
    near = _near(answer, places)
    return [
        place
        for place in places
        if is_whole(context, place.start, place.end)
        or (place in near and whole_words(context, place.start, place.end) >= PHRASE)
    ]


def _near(answer: Answer, places: list[Answer]) -> list[Answer]:
    return [place for place in places if abs(place.start - answer.start) <= MAX_SHIFT]
