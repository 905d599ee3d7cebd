"""Files of one's own, which params name in a folder that DVC watches."""

from pathlib import Path

from retune.core.errors import RetuneError
from retune.core.plain_files import read_bytes, resolved


def file_inside(folder: Path, name: str, section: str) -> Path:
    """The path of the file `name` in `folder`; `section` of the params names both.

    Raises:
        RetuneError: it is elsewhere.
    """
    path = folder / name
    if not resolved(path).is_relative_to(resolved(folder)):
        raise RetuneError(
            f"{section}: {name} is not in the folder {folder}, so that DVC would not see it "
            "change; move it there, or set `folder` to where it is"
        )
    return path


def read_lines(path: Path, remedy: str) -> list[str]:
    """The lines of a text file, parted by line feeds alone; `remedy` is for one that is absent.

    Not `splitlines`, for which many a rare character ends a line.

    Raises:
        RetuneError: no such file, or not UTF-8.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; {remedy}") from None
    try:
        return content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RetuneError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
