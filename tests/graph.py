"""What a stage script really uses, read off its source: modules, params and paths."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from closure import ROOT, Project, imports, parsed
from stage_commands import paths_of

from retune.tasks.task import tasks

PROJECT = Project()
TASKS = ROOT / "src/retune/tasks"
#: Packages of which a stage that reads one of these params loads a module.
MODELS = {
    task.key("model"): f"retune.tasks.{name}.models"
    for name, task in tasks().items()
    if any("import_known(" in file.read_text() for file in (TASKS / name).rglob("*.py"))
}
MODELS["pretraining.teacher_model"] = "retune.tasks.qa.models"
#: Folders of modules that params choose among. A stage depends on the chosen module alone.
CHOICES = ("models", "datasets", "augmenting", "vocabularies")
#: Where dvc.yaml declares what a stage writes, and each path by its role in the script.
OUTPUTS = ["outs", "metrics", "plots"]
DECLARED = {
    "In": ["deps"],
    "Path": ["deps"],
    "Out": ["outs"],
    "Trained": ["outs"],
    "Report": OUTPUTS,
}
#: Of what a costly stage imports: how much else its rooms may hold, by lines.
BUDGET = 0.2


def imported_files(path: Path, *, scripts: bool = True) -> set[str]:
    """The project's modules that `path` imports, transitively, as paths from the top.

    Imports inside functions count; those for type checkers only do not. The folder's
    modules that `Params.variant` chooses among count by what they import, and stand
    themselves as `<folder>/${<param>}.py`. Modules that are run as `scripts` count, too.
    """
    templates, waiting = set(), [path]
    for param, folder in _variant_folders(path):
        templates.add(f"{folder.relative_to(ROOT)}/${{{param}}}.py")
        waiting += sorted(folder.glob("[a-z]*.py"))
    found: set[str] = set()
    while waiting:
        module = waiting.pop()
        new = direct_imports(module) | (_run_scripts(module) if scripts else set())
        waiting += [ROOT / file for file in sorted(new - found)]
        found |= new
    return found | templates


@functools.cache
def direct_imports(path: Path) -> frozenset[str]:
    """The project's modules that a module itself imports, as paths from the top."""
    files, _ = PROJECT.direct(path, lazy=True)
    library = {file for file in files if file.is_relative_to(ROOT / "src")}
    return frozenset(file.relative_to(ROOT).as_posix() for file in library if has_code(file))


@functools.cache
def _run_scripts(path: Path) -> frozenset[str]:
    return frozenset(file for file in _script_files(parsed(path)) if has_code(ROOT / file))


def rooms(path: Path) -> set[str]:
    """The folders of what a script imports; modules that params choose stand by themselves."""
    return {file if is_choice(file) else str(Path(file).parent) for file in imported_files(path)}


def is_code(dep: str) -> bool:
    """Whether a dep of dvc.yaml is code of the project."""
    return dep.startswith(("src/retune/", "stages/")) and not dep.startswith("src/retune/corpora")


def budget(path: Path) -> tuple[int, int]:
    """Lines of code that a script imports, and lines that only stand in the same rooms."""
    used = {ROOT / file for file in imported_files(path) if "$" not in file}
    used |= {file for _, folder in _variant_folders(path) for file in folder.glob("[a-z]*.py")}
    there = {
        f for room in rooms(path) if not room.endswith(".py") for f in (ROOT / room).glob("*.py")
    }
    return _lines(used), _lines(there - used)


def libraries(path: Path) -> set[str]:
    """The top-level names that a script and all that it imports of the project import."""
    imported = imported_files(path, scripts=False)
    files = [ROOT / file for file in imported if "$" not in file]
    files += [file for _, folder in _variant_folders(path) for file in folder.glob("[a-z]*.py")]
    found = map(imports, [path, *files])
    return {name.split(".")[0] for each in found for name in (*each.top, *each.inside)}


def versions(path: Path) -> set[str]:
    """The libraries of versions.yaml that a script and all that it imports use."""
    known = yaml.safe_load((ROOT / "versions.yaml").read_text(encoding="utf-8"))
    used = libraries(path) & set(known)
    if "transformers" in used:
        used.add("tokenizers")  # does its tokenization, and is imported by it alone
    return used


def paths(stage: dict[str, Any], kind: str) -> list[str]:
    """The deps, outs, metrics or plots of a stage in dvc.yaml."""
    return [path if isinstance(path, str) else next(iter(path)) for path in stage.get(kind, [])]


def variants(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(param, package) for each choice of a module by a param."""
    yield from ((param, package) for param, package, _ in _choices(tree))
    yield from ((param, MODELS[param]) for param in _sections(tree) if param in MODELS)


def params_read(path: Path) -> set[str]:
    """The params that a stage script reads, in dvc.yaml's form."""
    tree = parsed(path)
    names = set(_sections(tree))
    for param, _, sections in _choices(tree):
        names |= {param, f"{sections}.${{{param}}}"}
    return names


def roles(path: Path) -> dict[str, str]:
    """What a stage script does with the paths of its command: `In`, `Out`, ..., by parameter.

    The roles of options end with `?`.
    """
    body = parsed(path).body
    (main,) = (f for f in body if isinstance(f, ast.FunctionDef) and f.name == "main")
    found = {arg.arg: ast.unparse(arg.annotation) for arg in main.args.args if arg.annotation}
    return {
        name: "In" if "Inputs(" in role else role.replace(" | None", "?")
        for name, role in found.items()
    }


def misplaced(script: Path, words: list[str], body: dict[str, Any]) -> Iterator[str]:
    """Problems of a stage in dvc.yaml whose paths are not declared as its script says.

    Args:
        script: of the stage.
        words: of its command, behind the name of the script.
        body: of the stage.
    """
    arguments, options = paths_of(words)
    found = roles(script)
    names = [name for name, role in found.items() if not role.endswith("?")]
    if len(names) != len(arguments) or not options.keys() <= found.keys() - set(names):
        yield f"{arguments} and {options} are not {found}"
        return
    written = set()
    for name, path in [*zip(names, arguments, strict=True), *options.items()]:
        kinds = DECLARED[found[name].removesuffix("?")]
        if not any(path in paths(body, kind) for kind in kinds):
            yield f"{name}: {path} is not in {' or '.join(kinds)}"
        written |= {path} if kinds != ["deps"] else set()
    for kind in OUTPUTS:
        yield from (f"{kind}: {p} is not written" for p in paths(body, kind) if p not in written)


def _variant_folders(path: Path) -> Iterator[tuple[str, Path]]:
    """(param, folder of the modules that it chooses among) of a script."""
    for param, package in variants(parsed(path)):
        yield param, ROOT / "src" / package.replace(".", "/")


def is_choice(file: str) -> bool:
    """Whether a module is one of those that params choose among."""
    return Path(file).parent.name in CHOICES and "/tasks/" in file


def _sections(tree: ast.AST) -> Iterator[str]:
    """The sections that a script's signature names: `Annotated[ScoreParams, "qa.score"]`."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(ast.Name("Annotated"), ast.Tuple([_, ast.Constant(str(name)), *_])):
                yield name


def _choices(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """The arguments of each `Choice` in a script: param, package, sections."""
    for call in _calls(tree):
        if isinstance(call.func, ast.Name) and call.func.id == "Choice":
            param, package, sections = map(ast.literal_eval, call.args)
            yield param, package, sections


def _lines(files: set[Path]) -> int:
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _script_files(tree: ast.Module) -> Iterator[str]:
    """Modules that are run in a process by themselves: `Path(__file__).with_name("x.py")`."""
    for call in _calls(tree):
        if _attribute(call) == "with_name" and ast.unparse(call).endswith(".py')"):
            name = ast.literal_eval(call.args[0])
            yield from (str(f.relative_to(ROOT)) for f in (ROOT / "src").rglob(name))


@functools.cache
def has_code(path: Path) -> bool:
    """Whether a module has code that a stage may run; the top one only names what users import."""
    if path == ROOT / "src/retune/__init__.py":
        return False
    return any(not isinstance(node, ast.Expr) for node in parsed(path).body)
