"""The typer application: how it reads a command line, groups its help and words its errors."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from retune.core.terminal_text import cut, escaped

PIPELINE = typer.Option("--pipeline", metavar="NAME", help="Work on pipelines/NAME.")
AS_JSON = typer.Option("--json", help="Print JSON.")

#: Headings of the help, and their order.
DATA, RUNS, RESULTS, MODELS = PANELS = ("Data", "Runs", "Results", "Models")

_Function = TypeVar("_Function", bound=Callable[..., int])


class _PlainValues:
    """Texts, paths and numbers.

    typer's own conversion imports pydantic, which doubles the start-up.
    """

    @staticmethod
    def coerce(value: Any, param: Any, ctx: Any) -> Any:
        kind = param.type_descriptor.annotation
        if value is None or kind not in (Path, float, int):
            return value
        try:
            return kind(value)
        except ValueError:
            raise typer.BadParameter(f"{value!r} is not a number", ctx, param) from None


class _Plain:
    """Parameters with plain values, and without types such as `<list[str]>` in the help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options, with the one for help."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            parameter.get_runtime_param = lambda: _PlainValues
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
        return parameters

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; an error knows its command."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]
        except typer.TyperException as error:
            error.ctx = ctx  # type: ignore[attr-defined] # which some errors of typer lack
            raise


class Command(_Plain, TyperCommand):
    """A command that starts its work after the whole command line has been read."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; an option whose metavar ends in ` ...` takes all that follow."""
        flags = [flag for p in self.params if str(p.metavar).endswith(" ...") for flag in p.opts]
        return super().parse_args(ctx, _repeated(args, flags))

    def invoke(self, ctx: Any) -> Any:
        """Return the context, which holds the function to call and its arguments."""
        return ctx


class Commands(_Plain, TyperGroup):
    """All commands; the help lists them under the headings `PANELS`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the name and the first sentence of each command."""
        width = max(map(len, self.commands))
        for panel in PANELS:
            rows = [
                (name.ljust(width), command.get_short_help_str(limit=70))
                for name, command in self.commands.items()
                if getattr(command, "rich_help_panel", None) == panel
            ]
            with formatter.section(panel):
                formatter.write_dl(rows)


# Without rich, because importing it takes longer than all else that the help needs.
app = typer.Typer(
    cls=Commands,
    epilog="Example: retune sweep qa.model=bert,lstm && retune table --experiments",
    rich_markup_mode=None,
    suggest_commands=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def command(panel: str, example: str, name: str | None = None) -> Callable[[_Function], _Function]:
    """Add a function to the commands; its parameters are the options, its docstring the help.

    A command whose `name` is a keyword of Python has a function of another name.
    """
    return app.command(name, cls=Command, rich_help_panel=panel, epilog=f"Example: {example}")


def _print_version(wanted: bool) -> None:
    if wanted:
        from retune.tools.cli.version import version

        typer.echo(version())
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print version and commit, and exit.",
        ),
    ] = False,
) -> None:
    """Run and compare fine-tuning experiments."""


def read_command(argv: Sequence[str] | None) -> Any:
    """Return the context of the command that `argv` asks for.

    Exits after `--help` and `--version`, and with 2 after one line on a wrong command line.
    """
    group = typer.main.get_command(app)
    if "_RETUNE_COMPLETE" in os.environ:  # a shell asks for completions
        group(prog_name="retune")
    try:
        with group.make_context("retune", [*(sys.argv[1:] if argv is None else argv)]) as context:
            return group.invoke(context)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except typer.TyperException as error:
        print(cut(escaped(_usage_error(error))), file=sys.stderr)
        sys.exit(error.exit_code)


def _usage_error(error: Any) -> str:
    """Return what is wrong with a command line, and which commands or options there are."""
    context = error.ctx
    message = f"{context.command_path}: error: {error.format_message().rstrip('.')}"
    if hasattr(error, "possibilities"):  # an unknown option
        names = [name for option in context.command.get_params(context) for name in option.opts]
        return f"{message}; options: {', '.join(name for name in names if name[:2] == '--')}"
    if isinstance(context.command, Commands):
        return f"{message}; commands: {', '.join(sorted(context.command.commands))}"
    return f"{message}; see `{context.command_path} --help`"


def _repeated(arguments: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Return `--flag a b` as `--flag a --flag b`, which is how typer reads several values."""
    repeated: list[str] = []
    flag = None
    for argument in arguments:
        if argument.startswith("--"):
            flag = argument if argument in flags else None
        elif flag and repeated[-1] != flag:
            repeated.append(flag)
        repeated.append(argument)
    return repeated
