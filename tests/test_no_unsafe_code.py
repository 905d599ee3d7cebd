"""No module of the library or of the stages can unpickle, evaluate or run a stranger's code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for top in ("src", "stages") for path in (ROOT / top).rglob("*.py"))

#: Modules that execute what they read, or hand it to a shell, and those that unpack archives.
MODULES = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "code",
    "zipfile", "tarfile", "gzip", "bz2", "lzma",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}
#: Calls by the last part of their name.
CALLS = {
    "read_pickle", "to_pickle", "unpack_archive", "extractall", "unsafe_load", "full_load",
    "system", "popen", "get_class_from_dynamic_module",
}  # fmt: skip
#: Arguments that would let a library do the same, and the only value that they may have.
ARGUMENTS = {
    "allow_pickle": False, "trust_remote_code": False, "weights_only": True,
    "use_safetensors": True, "local_files_only": True, "shell": False,
}  # fmt: skip
LOCAL = {"trust_remote_code", "local_files_only"}


def name_of(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def unsafe(tree: ast.AST) -> Iterator[str]:
    """What is wrong in a module, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            modules = []
        for module in modules:
            if module.split(".")[0] in MODULES:
                yield f"{node.lineno}: imports {module}"
        if isinstance(node, ast.Call):
            yield from (f"{node.lineno}: {what}" for what in unsafe_call(node))


def unsafe_call(node: ast.Call) -> Iterator[str]:
    name = name_of(node.func)
    last = name.rpartition(".")[2]
    arguments = {keyword.arg: keyword.value for keyword in node.keywords}
    if last in CALLS or name.removeprefix("builtins.") in BUILTINS or name.split(".")[0] in MODULES:
        yield f"calls {name}"
    if name == "torch.load" and "weights_only" not in arguments:
        yield "calls torch.load without weights_only=True"
    if name.startswith("yaml.") and last == "load" and "Loader" not in arguments:
        yield "calls yaml.load without a loader"
    if last == "from_pretrained" and not set(arguments) >= LOCAL:
        yield f"calls {name} without {' and '.join(sorted(LOCAL))}"
    for argument, allowed in ARGUMENTS.items():
        value = arguments.get(argument)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is allowed):
            yield f"passes {argument}={ast.unparse(value)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_runs_no_code_that_it_reads(path: Path) -> None:
    assert list(unsafe(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_one_script_alone_reads_pickled_weights() -> None:
    """It runs in a process by itself: see `retune.models.pickled_weights`."""
    calls = {
        path.name
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and name_of(node.func) == "torch.load"
    }
    assert calls == {"weights_converter.py"}


def test_all_modules_are_seen() -> None:
    assert len(SOURCES) > 50
    assert {path.name for path in SOURCES} >= {"pretrained_files.py", "fetching.py", "train.py"}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import load",
        "import tarfile",
        "pickle.load(file)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=True, local_files_only=True)",
        "AutoModel.from_pretrained(path)",
        "AutoModel.from_pretrained(path, trust_remote_code=False, local_files_only=False)",
        "AutoModel.from_pretrained(p, trust_remote_code=False, local_files_only=True, "
        "use_safetensors=False)",
        "eval(text)",
        "exec(text)",
        "builtins.eval(text)",
        "pd.read_pickle(path)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "yaml.load(text)",
        "yaml.unsafe_load(text)",
    ],
)
def test_the_gate_finds(code: str) -> None:
    assert len(list(unsafe(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "re.compile('x')",
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "model.eval()",
        "AutoModel.from_pretrained(path, trust_remote_code=False, local_files_only=True)",
    ],
)
def test_the_gate_lets_pass(code: str) -> None:
    assert list(unsafe(ast.parse(code))) == []
