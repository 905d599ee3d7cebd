"""The commands of stages in dvc.yaml, read without an import of the project."""

from itertools import pairwise


def paths_of(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The paths in the words behind the script of a stage's command, and its options by parameter.

    Options that are no paths are left out.
    """
    options = {
        word.removeprefix("--").replace("-", "_"): path
        for word, path in pairwise(words)
        if word.startswith("--") and word not in ("--params", "--seed", "--variant")
    }
    arguments = [path for option, path in pairwise(["", *words])
                 if not option.startswith("--") and not path.startswith("--")]  # fmt: skip
    return arguments, options
