"""`retune ask` for language models: continue the user's texts."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from retune.core.errors import RetuneError, excerpt
from retune.core.params import Params
from retune.inference.text_generator import TextGenerator
from retune.tasks.language_model.plots.coloured import terminal, terminal_legend
from retune.tools.ask.asking import Reply, trained_with

if TYPE_CHECKING:
    from rich.text import Text


def asker(settings: Params, folder: Path, context: str | None) -> Callable[[str], Reply]:
    """Return a function that continues a text as the generate stage does."""
    if context is not None:
        raise RetuneError("--context is for questions; a text is continued as it stands")
    trained_with(folder, {"language_model.model": str})
    generator, legend = TextGenerator(folder, params=settings), _legend()

    def continued(prompt: str) -> Reply:
        try:
            found = generator(prompt)
        except RetuneError as error:
            if "prompt 0" not in str(error):
                raise
            return _not_continued(prompt, str(error).replace("prompt 0", "this text"))
        pieces = found["tokens"]
        fields = {
            "prompt": prompt, "continuation": found["continuation"],
            "tokens": [{"text": p.text, "probability": p.probability} for p in pieces],
            "log_probability": found["log_probability"],
            "mean_log_probability": found["mean_log_probability"], "ended": found["ended"],
        }  # fmt: skip
        if sys.stdout.isatty():
            return Reply(
                next(legend) + _in_colours(terminal(prompt, pieces)), fields, coloured=True
            )
        return Reply(found["generated_text"], fields)

    return continued


def _not_continued(prompt: str, reason: str) -> Reply:
    """Return the reply to a text that cannot be continued."""
    fields = {"prompt": prompt, "continuation": None, "error": reason}
    return Reply(f"{excerpt(prompt, 40)} is not continued: {reason}", fields)


def _legend() -> Iterator[str]:
    """Yield the colour legend for the first reply, then empty text."""
    yield f"{_in_colours(terminal_legend())}\n"
    while True:
        yield ""


def _in_colours(text: "Text") -> str:
    """Return the text with the terminal's colours, if it has any; do not wrap lines."""
    from rich.console import Console

    console = Console(soft_wrap=True)
    with console.capture() as captured:
        console.print(text, end="")
    return captured.get()
