"""YAML text as DVC parses it, checked before any value is made.

DVC parses by `ruamel.yaml`, and so does this module: stages see exactly the values that
DVC sees. Aliases count as often as they stand for something, because ten lines of them
can stand for a billion values. The import takes a moment: import this module where YAML
is read.
"""

import re
import warnings
from itertools import chain
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLWarning
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

_MOST_NODES = 500_000
_NODE = 100  # characters that count as one node more
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_OF_JSON = (str, int, float, list, dict, type(None))
_MISFIT = "a value does not fit its tag (`!!...`) or form"
#: What ruamel raises for a value that is not of its tag, besides its own error.
_MISFITS = (AssertionError, AttributeError, LookupError, TypeError, ValueError)


def parse(text: str) -> Any:
    """Parse one document of YAML; keys are plain names that stand once each.

    Raises:
        ValueError: for what is no YAML, has other keys, or unfolds to too much.
        RecursionError: for what is nested too deeply.
    """
    parser = YAML(typ="safe", pure=True)
    parser.Constructor = _Constructor
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", YAMLWarning)  # DVC itself gives them
            return parser.load(text)
    except ConstructorError as error:
        raise ValueError(f"{_MISFIT}: {_said(error)}; write it in quotes, without a tag") from None
    except MarkedYAMLError as error:
        raise ValueError(_said(error)) from None
    except YAMLError as error:
        raise ValueError(str(error)) from None
    except _MISFITS as error:
        raise ValueError(f"{_MISFIT}: {str(error) or 'a name stands twice'}") from None


class _Constructor(SafeConstructor):
    """DVC's constructor of values behind the checks of this module."""

    def construct_document(self, node: Node) -> Any:
        """Construct the value of a document whose nodes are few enough and have plain keys."""
        if (count := _unfolded(node, {})) > _MOST_NODES:
            raise YAMLError(f"its aliases stand for {count:,} values; write fewer aliases")
        return super().construct_document(node)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Construct the value of a node, which JSON can hold; what goes wrong names its line."""
        try:
            value = super().construct_object(node, deep)
            if not isinstance(value, _OF_JSON):
                raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
            return value
        except _MISFITS as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from None


def _said(error: MarkedYAMLError) -> str:
    """What went wrong, with lines, without the excerpts and addresses that ruamel adds."""
    marked = [(error.context, error.context_mark), (error.problem, error.problem_mark)]
    return ": ".join(
        f"{text} (line {mark.line + 1})" if mark else text for text, mark in marked if text
    )


def _unfolded(node: Node, known: dict[int, int]) -> int:
    """How many nodes there are below `node`, long texts counted as several."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = 1  # for an alias of what is around it, which is refused later
    if isinstance(node, ScalarNode):
        if found := _NO_TEXT.search(node.value):
            line = node.start_mark.line + 1
            raise YAMLError(f"line {line}: a text with {found[0]!r}, which no setting has")
        known[id(node)] += len(node.value) // _NODE
        return known[id(node)]
    if isinstance(node, MappingNode):
        _require_plain_keys([key for key, _ in node.value])
    parts = chain(*node.value) if isinstance(node, MappingNode) else node.value
    known[id(node)] += sum(_unfolded(part, known) for part in parts)
    return known[id(node)]


def _require_plain_keys(keys: list[Node]) -> None:
    """Refuse keys that are no text, merge another mapping, or stand twice."""
    lines: dict[str, int] = {}
    for key in keys:
        line = key.start_mark.line + 1
        if key.tag != "tag:yaml.org,2002:str" or key.value == "<<":
            raise YAMLError(f"line {line}: a key must be a plain name{_instead(key)}")
        if key.value in lines:
            first = lines[key.value]
            raise YAMLError(f"key {key.value!r} stands at lines {first} and {line}")
        lines[key.value] = line


def _instead(key: Node) -> str:
    """What to write instead of a key that is no plain name."""
    if key.value == "<<":
        return "; no merges"
    return f'; write "{key.value}" in quotes' if isinstance(key, ScalarNode) else ""
