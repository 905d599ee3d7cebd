"""What a test module depends on, read from its source: modules, libraries and files."""

import ast
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Libraries that import torch.
TORCH = {
    "torch",
    "transformers",
    "accelerate",
    "evaluate",
    "peft",
    "safetensors.torch",
    "torchmetrics",
}
#: Test modules that import no torch, but last long, or load it by what they call.
NOT_QUICK = {
    *("test_claims", "test_doctor_fuzz", "test_doctor_fix"),
    *("test_readme_snippets", "test_sister_experiment_faults", "test_params", "test_experiments"),
    *("test_benches", "test_curve_faults", "test_doctor_model"),
}
#: Packages of the project. The modules of `tests` are imported by their names alone.
TOPS = ("src/retune", "stages", "bench")


@dataclass(frozen=True)
class Imports:
    """Dotted names that a module imports: at its top, and inside functions."""

    top: tuple[str, ...]
    inside: tuple[str, ...]


@functools.cache
def imports(path: Path) -> Imports:
    """Return what a module imports at run time; `TYPE_CHECKING` blocks do not count."""
    top: list[str] = []
    inside: list[str] = []
    waiting: list[tuple[ast.AST, list[str]]] = [(parsed(path), top)]
    while waiting:
        node, found = waiting.pop()
        found += _names(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found = inside
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        waiting += [(child, found) for child in _statements(node)]
    return Imports(tuple(top), tuple(inside))


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements in a node's blocks: an import is nowhere else."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        children = getattr(node, block, [])
        yield from children if isinstance(children, list) else []


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


@dataclass(frozen=True)
class Project:
    """The modules below a root, and what they import of each other."""

    root: Path = ROOT

    @functools.cached_property
    def modules(self) -> dict[str, Path]:
        """Return the file of each module by its dotted name, and of test code by its stem."""
        found = {file.stem: file for file in (self.root / "tests").rglob("*.py")}
        for top in TOPS:
            for file in (self.root / top).rglob("*.py"):
                parts = file.relative_to((self.root / top).parent).with_suffix("").parts
                found[".".join(parts).removesuffix(".__init__")] = file
        return found

    def files(self, name: str) -> list[Path]:
        """Return the files that run when `name` is imported; none of a library."""
        parts = name.split(".")
        names = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
        return [self.modules[each] for each in names if each in self.modules]

    def is_test_code(self, path: Path) -> bool:
        return path.is_relative_to(self.root / "tests")

    @functools.cache  # noqa: B019 - as many as there are modules
    def direct(self, path: Path, *, lazy: bool) -> tuple[frozenset[Path], frozenset[str]]:
        """Return the project's modules and the libraries that a module imports.

        Without `lazy`, an import inside a function counts in test code alone.
        """
        found = imports(path)
        names = {*found.top, *(found.inside if lazy or self.is_test_code(path) else ())}
        files = {name: self.files(name) for name in names}
        libraries = {name for name in names if not files[name]}
        return frozenset(itertools.chain(*files.values())), frozenset(libraries)

    def closure(self, path: Path, *, lazy: bool = True) -> set[Path]:
        """Return a module, the conftests around it, and all that they import of the project."""
        folders = [parent for parent in path.parents if self.is_test_code(parent)]
        conftests = {folder / "conftest.py" for folder in folders}
        waiting = {path, *filter(Path.is_file, conftests)}
        found: set[Path] = set()
        while waiting:
            found |= waiting
            waiting = {each for file in waiting for each in self.direct(file, lazy=lazy)[0]} - found
        return found

    def uses_torch(self, path: Path) -> bool:
        """Return whether torch is imported with a test module, or by a function of test code."""
        files = self.closure(path, lazy=False)
        names = {name for file in files for name in self.direct(file, lazy=False)[1]}
        return any(name in TORCH or name.split(".")[0] in TORCH for name in names)

    def starts_processes(self, path: Path) -> bool:
        """Return whether a test module or its helpers start Python or DVC."""
        files = [file for file in self.closure(path) if self.is_test_code(file)]
        return any(map(_starts_python, files))

    @functools.cache  # noqa: B019 - as many as there are test modules
    def markers(self, path: Path) -> frozenset[str]:
        """Return the markers of all tests in a module, by its place and what it imports."""
        fault = path.is_relative_to(self.root / "tests" / "faults")
        torch, pipeline = self.uses_torch(path), self.starts_processes(path)
        named = {"fault": fault, "torch": torch, "pipeline": pipeline}
        named["quick"] = not (torch or pipeline or path.stem in NOT_QUICK)
        return frozenset(name for name, holds in named.items() if holds)


@functools.cache
def _starts_python(path: Path) -> bool:
    found = imports(path)
    if "subprocess" not in [*found.top, *found.inside]:
        return False
    nodes = ast.walk(parsed(path))
    return any(
        (isinstance(node, ast.Constant) and node.value in ("python", "dvc"))
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.executable")
        for node in nodes
    )
