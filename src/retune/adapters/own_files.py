"""Files of one's own, which params name in a folder that DVC watches."""

from pathlib import Path

from retune.errors import RetuneError


def file_inside(folder: str, name: str, section: str) -> Path:
    """The path of the file `name` in `folder`; `section` of the params names both.

    Raises:
        RetuneError: it is elsewhere.
    """
    top = Path(folder)
    path = top / name
    if not path.resolve().is_relative_to(top.resolve()):
        raise RetuneError(
            f"{section}: {name} is not in the folder {folder}, so that DVC would not see it "
            "change; move it there, or set `folder` to where it is"
        )
    return path
