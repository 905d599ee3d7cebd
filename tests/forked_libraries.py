"""The libraries that forked processes hold, and what these processes remember for each other."""

import _imp
import functools
import hashlib
import importlib
import io
import marshal
import os
import pickle
import tempfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, TextIO

import yaml
from pydantic import TypeAdapter
from ruamel.yaml.resolver import Resolver

#: What stages and `dvc repro` import; nothing of the project, whose copies differ.
LIBRARIES = (
    *("torch", "torch.distributed.tensor", "transformers.trainer", "transformers.integrations"),
    *("transformers.models.bert.modeling_bert", "accelerate", "peft", "datasets", "pandas"),
    *("pyarrow.json", "pydantic.main", "pydantic.dataclasses", "ruamel.yaml", "typer"),
    *("torch.utils.tensorboard", "dvclive.live", "dvc.cli", "dvc.repo", "dvc.stage", "dvc.output"),
    *("dvc.repo.reproduce", "dvc.commands.repro", "dvc.commands.experiments.run", "dvc.scm"),
    *("dvc.repo.experiments.queue.celery", "dvc.utils.hydra", "dvc.render.convert"),
    *("dvc.cli.parser", "dvc.repo.index", "dvc.repo.graph", "dvc.repo.datasets", "dvc.repo.plots"),
    *("dvc.repo.artifacts", "dvc.repo.experiments.queue.tempdir", "dvc.repo.experiments.show"),
    *("dvc.repo.experiments.queue.workspace", "dvc.api", "dvc_data.hashfile.db.local"),
    *("dvc_data.index.checkout", "networkx", "hydra", "pygit2", "dulwich.porcelain", "rich.text"),
    *("scmrepo.git.backend.pygit2.filter", "pydantic.type_adapter", "pandas.io.formats.csvs"),
    *("transformers.models.bert.tokenization_bert",),
)


def load(known: Path) -> None:
    """Import the libraries, and do once what each process would do again.

    All processes remember in the folder `known` what one of them has parsed or compiled.
    """
    for name in LIBRARIES:
        importlib.import_module(name)
    warm_up()
    share(known)


def warm_up() -> None:
    from dvc.cli import parser
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    get_checkpoint_conversion_mapping("bert")
    parser.get_main_parser = functools.cache(parser.get_main_parser)
    parser.get_main_parser()
    TypeAdapter(int)  # the first one looks for plugins in all packages
    os.fsync = lambda fd: None  # no test cuts the power


class Loader(yaml.CSafeLoader):
    """PyYAML's C parser with ruamel's rules for scalars, which DVC uses."""

    yaml_implicit_resolvers = Resolver.yaml_implicit_resolvers


def share(known: Path) -> None:
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml

    parse, dump = _yaml.parse_yaml, _yaml._dump
    to_code = SourceFileLoader.source_to_code
    known.mkdir()

    def file_of(kind: str, text: bytes) -> Path:
        return known / f"{kind}-{hashlib.sha256(text).hexdigest()}"

    def remember(file: Path, value: bytes) -> bytes:
        with tempfile.NamedTemporaryFile(dir=known, delete=False) as whole:
            whole.write(value)
        os.replace(whole.name, file)
        return value

    def parsed(text: str, path: str, typ: str = "safe") -> Any:
        file = file_of(typ, text.encode())
        if file.exists():
            return pickle.loads(file.read_bytes())
        return pickle.loads(remember(file, pickle.dumps(parse(text, path, typ))))

    def dumped(value: Any, stream: TextIO) -> None:
        """Remember what DVC will find in the `dvc.lock` that it now writes."""
        dump(value, whole := io.StringIO())
        stream.write(text := whole.getvalue())
        remember(file_of("rt", text.encode()), pickle.dumps(value))
        remember(file_of("safe", text.encode()), pickle.dumps(yaml.load(text, Loader)))

    def compiled(self: SourceFileLoader, data: bytes, path: str, **options: int) -> CodeType:
        """Compile as Python does; bytecode would be of the wrong source for up to a second."""
        file = file_of("code", data)
        if not file.exists():
            remember(file, marshal.dumps(to_code(self, data, path, **options)))
        code = marshal.loads(file.read_bytes())
        _imp._fix_co_filename(code, path)  # the same module of another copy
        return code

    _yaml.parse_yaml = strictyaml.parse_yaml = parsed
    _yaml._dump = dumped
    SourceFileLoader.source_to_code = compiled
