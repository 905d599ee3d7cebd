"""Find the numbers that documents state, and check that a claim covers each.

A number counts as a result if it has a unit of results (%, seconds, windows/s, questions,
points, ...), follows EM or F1, has two digits before or after its decimal point, or is alone in
a table's cell. Numbers in code and in code blocks do not count.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from retune.tools.claims.ledger import Claim, Place

#: The claims as tables, which are generated.
LEDGER = "docs/claims.md"

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_UNIT = (
    r"\s?(?:%|(?:ms|s|MB|GB|GFLOP/s|seconds?|minutes?|hours?|points?|times|x)\b"
    r"|(?:[a-z]+\s)?(?:questions|windows|answers)\b)"
)
_PROSE = re.compile(
    r"(?<![\w.,^])(?<![A-Za-z]-)"
    rf"(?:{_NUMBER}(?={_UNIT})|\d{{2,}}\.\d+(?![\w.])|\d+\.\d{{2,}}(?![\w.]))"
    r"|(?:(?<=\bEM\s)|(?<=\bF1\s)|(?<=\bEM of\s)|(?<=\bF1 of\s))\d+(?:\.\d+)?"
)
_VERSION = re.compile(r"\b(?:Python|torch|DVC|DeepSpeed|transformers|version) \d[\d.]*\d")
_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_CELL = re.compile(rf"(?<=\|)\s*[*<>~±]*\s*{_NUMBER}[\d\s.,/%+()s-]*(?=\|)")
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")


def documents(root: Path) -> list[str]:
    """Return the documents whose results need a claim."""
    found = [*sorted(root.glob("docs/*.md")), *sorted(root.glob("pipelines/*/README.md"))]
    return ["README.md", *(path.relative_to(root).as_posix() for path in found)]


def problems(root: Path, claims: Mapping[str, Claim]) -> list[str]:
    """Return a line for each missing place and for each number without a claim."""
    texts = {
        file: (root / file).read_text(encoding="utf-8")
        for file in {*documents(root), *(p.file for c in claims.values() for p in c.stated)}
        if (root / file).is_file()
    }
    found = []
    for name, claim in claims.items():
        for place in claim.stated:
            if not any(spans(place, texts.get(place.file, ""))):
                anchor = place.part or place.text
                found.append(f"claims.yaml: {name}: {place.file} does not state {anchor!r}")
            elif place.text and (values := getattr(claim, "values", None)):
                found += [f"claims.yaml: {name}: {line}" for line in _strangers(place, values)]
    places = [place for claim in claims.values() for place in claim.stated]
    for file in documents(root):
        found += uncovered(file, texts[file], [p for p in places if p.file == file])
    return found


def uncovered(file: str, text: str, places: Iterable[Place]) -> list[str]:
    """Return a line for each result in `text` outside the places."""
    covered = [span for place in places for span in spans(place, text)]
    if file == LEDGER:
        covered += [found.span() for found in re.finditer(_part(r"\w+"), text, re.DOTALL)]
    return [
        f"{file}:{text.count(chr(10), 0, start) + 1}: {text[start:end]} is stated "
        f"({_around(text, start, end)}), but no claim in claims.yaml covers it"
        for start, end in results(text)
        if not any(first <= start and end <= last for first, last in covered)
    ]


def results(text: str) -> list[tuple[int, int]]:
    """Return the spans of the numbers in `text` that count as results."""
    plain = text
    for pattern in (_CODE_BLOCK, _CODE, _VERSION):
        plain = pattern.sub(lambda found: re.sub(r"[^\n|]", "·", found[0]), plain)
    found = {match.span() for match in _PROSE.finditer(plain)}
    for row in _ROW.finditer(plain):
        for cell in _CELL.finditer(plain, *row.span()):
            numbers = re.finditer(_NUMBER, cell[0])
            found |= {(cell.start() + n.start(), cell.start() + n.end()) for n in numbers}
    return sorted(found)


def spans(place: Place, text: str) -> Iterator[tuple[int, int]]:
    """Yield every span of a place in the text, whatever its line breaks."""
    if place.part:
        pattern = _part(re.escape(place.part))
    else:
        pattern = r"\s+".join(map(re.escape, (place.text or "").split()))
    return (found.span() for found in re.finditer(pattern, text, re.DOTALL))


def _part(name: str) -> str:
    return rf"<!-- begin (?P<part>{name}) -->.*?<!-- end (?P=part) -->"


def _strangers(place: Place, values: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each number in a place that is not among the claim's values."""
    for number in re.findall(rf"(?<![\w.]){_NUMBER}(?![\w.]*\w)", place.text or ""):
        digits = len(number.partition(".")[2])
        shown = {f"{factor * value:.{digits}f}" for value in values.values() for factor in (1, 100)}
        if number.replace(",", "") not in shown:
            yield f"{place.file} states {number}, which is none of {sorted(values.values())}"


def _around(text: str, start: int, end: int) -> str:
    return "..." + " ".join(text[max(0, start - 25) : end + 15].split()) + "..."
