"""User files, which params name in a folder that DVC watches."""

from pathlib import Path

from retune.core.errors import RetuneError
from retune.core.plain_files import read_bytes, resolved


def file_inside(folder: Path, name: str, section: str) -> Path:
    """Return the path of the file `name` in `folder`; the params section `section` names both.

    Raises:
        RetuneError: the file is outside of the folder.
    """
    path = folder / name
    if not resolved(path).is_relative_to(resolved(folder)):
        raise RetuneError(
            f"{section}: {name} is not in the folder {folder}, so that DVC would not see it "
            "change; move it there, or set `folder` to where it is"
        )
    return path


def read_lines(path: Path, remedy: str) -> list[str]:
    """Return the lines of a text file; `remedy` is the advice if there is no such file.

    Only line feeds separate lines. `splitlines` would split at rarer characters, too.

    Raises:
        RetuneError: there is no such file, or it is not UTF-8.
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
