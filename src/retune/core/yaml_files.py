"""YAML files, read as DVC reads them, and bounded.

DVC reads params.yaml by YAML 1.2 and PyYAML by YAML 1.1, so that `3e-5`, `010` or
`yes` mean different things to the two. The loader here resolves scalars as YAML 1.2
does, so that stages and DVC see the same values. Aliases count as often as they stand for
something, because ten lines of them can stand for a billion values.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from retune.core.errors import RetuneError, excerpt
from retune.core.plain_files import read_bytes

_MOST_BYTES = 8_000_000
_MOST_NODES = 500_000
_NODE = 100  # characters that count as one node more
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping by YAML 1.2's rules for scalars; duplicate keys are errors.

    Raises:
        RetuneError: for a file that is not there, no YAML, or holds what JSON cannot.
    """
    try:
        text = read_bytes(path, limit=_MOST_BYTES).decode("utf-8-sig")
        value = yaml.load(text, Loader=Yaml12Loader)
        json.dumps(value)  # a date, bytes or a loop of aliases would fail later, unnamed
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; run from the project's top folder") from None
    except UnicodeDecodeError as error:
        raise RetuneError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise RetuneError(f"{path}: {' '.join(str(error).split())}") from None
    except (AttributeError, KeyError):
        raise RetuneError(f"{path}: a value does not fit its tag (`!!...`); leave it out") from None
    except RecursionError:
        raise RetuneError(f"{path}: nested too deeply to be parameters") from None
    if not isinstance(value, dict):
        raise RetuneError(f"{path}: expected sections (`name: ...`), got {excerpt(value)}")
    return value


class Yaml12Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 (core schema)."""

    def get_single_node(self) -> yaml.Node | None:
        """Compose the tree of the document, and refuse one that unfolds to too much."""
        node: yaml.Node | None = super().get_single_node()
        if node is not None and (count := _unfolded(node, {})) > _MOST_NODES:
            raise yaml.YAMLError(f"its aliases stand for {count:,} values; write fewer aliases")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping whose keys are plain names that stand once each."""
        lines: dict[str, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag != "tag:yaml.org,2002:str" or key_node.value == "<<":
                what = f"a key must be a plain name{_instead(key_node)}"
                raise yaml.YAMLError(f"line {line}: {what}")
            if key_node.value in lines:
                first = lines[key_node.value]
                raise yaml.YAMLError(f"key {key_node.value!r} stands at lines {first} and {line}")
            lines[key_node.value] = line
        return super().construct_mapping(node, deep)


def _instead(key: yaml.Node) -> str:
    """What to write instead of a key that is no plain name."""
    if key.value == "<<":
        return "; no merges"
    return f'; write "{key.value}" in quotes' if isinstance(key, yaml.ScalarNode) else ""


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are below `node`, long texts counted as several."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = 1  # for an alias of what is around it, which is refused later
    if isinstance(node, yaml.ScalarNode):
        if found := _NO_TEXT.search(node.value):
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: a text with {found[0]!r}, which no setting has")
        known[id(node)] += len(node.value) // _NODE
    elif isinstance(node, yaml.MappingNode):
        known[id(node)] += sum(_unfolded(part, known) for pair in node.value for part in pair)
    else:
        known[id(node)] += sum(_unfolded(part, known) for part in node.value)
    return known[id(node)]


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


Yaml12Loader.yaml_implicit_resolvers = {}
Yaml12Loader.add_constructor("tag:yaml.org,2002:int", _decimal)
for _tag, _pattern, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
]:
    Yaml12Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )
