"""Parse YAML text as DVC does, after a check of its size and keys.

DVC parses with `ruamel.yaml`, and so does this module, so that stages see the same values as DVC.
An alias counts as many values as it stands for, because ten lines of aliases can stand for a
billion values. The import is slow: import this module in the function that reads YAML.
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
#: What ruamel raises for a value that does not fit its tag, besides its own errors.
_MISFITS = (AssertionError, AttributeError, LookupError, TypeError, ValueError)


def parse(text: str) -> Any:
    """Parse one YAML document, whose keys are plain names without duplicates.

    Raises:
        ValueError: the text is not YAML, has other keys, or its aliases stand for too many values.
        RecursionError: it is nested too deeply.
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
        raise ValueError(f"{_MISFIT}: {str(error) or 'a name appears twice'}") from None


class _Constructor(SafeConstructor):
    """DVC's constructor of values, with the checks of this module."""

    def construct_document(self, node: Node) -> Any:
        """Construct the value of a document, after a check of its size and keys."""
        if (count := _unfolded(node, {})) > _MOST_NODES:
            raise YAMLError(f"its aliases stand for {count:,} values; write fewer aliases")
        return super().construct_document(node)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Construct a value that JSON can hold; errors name the line."""
        try:
            value = super().construct_object(node, deep)
            if not isinstance(value, _OF_JSON):
                raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
            return value
        except _MISFITS as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from None


def _said(error: MarkedYAMLError) -> str:
    """Return the problem with its lines, without the excerpts that ruamel adds."""
    marked = [(error.context, error.context_mark), (error.problem, error.problem_mark)]
    return ": ".join(
        f"{text} (line {mark.line + 1})" if mark else text for text, mark in marked if text
    )


def _unfolded(node: Node, known: dict[int, int]) -> int:
    """Return the number of nodes below `node`; a long text counts as several."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = 1  # for an alias of a node around it, which is refused later
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
    """Refuse keys that are not text, that merge another mapping, and duplicate keys."""
    lines: dict[str, int] = {}
    for key in keys:
        line = key.start_mark.line + 1
        if key.tag != "tag:yaml.org,2002:str" or key.value == "<<":
            raise YAMLError(f"line {line}: a key must be a plain name{_instead(key)}")
        if key.value in lines:
            first = lines[key.value]
            raise YAMLError(f"key {key.value!r} appears at lines {first} and {line}")
        lines[key.value] = line


def _instead(key: Node) -> str:
    """Return advice on what to write instead of a key that is not a plain name."""
    if key.value == "<<":
        return "; no merges"
    return f'; write "{key.value}" in quotes' if isinstance(key, ScalarNode) else ""
