"""Parse cells of tables with JSON, or with values as Python and numpy print them.

No code is run.
"""

import ast
import io
import itertools
import re
import tokenize
import warnings
from typing import Any

from retune.ingest.strict_json import parse_json

_NUMPY = re.compile(r"array|u?int\d*|float\d*|str_|bool_?")
_VALUES = (tokenize.STRING, tokenize.NUMBER)


def parse_cell(text: str) -> Any:
    """Parse JSON, or a Python literal with numpy arrays.

    Raises:
        ValueError: the text is neither.
    """
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return parse_literal(text)


def parse_literal(text: str) -> Any:
    """Parse a Python literal; numpy arrays become lists, other names and calls are refused.

    Raises:
        ValueError: the text is not such a literal.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes that Python does not know
            tree = ast.parse(_parted(text.strip()), mode="eval")
        return _value(tree.body)
    except (SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a literal ({error})") from None


def _parted(text: str) -> str:
    """Add the commas that numpy leaves out; Python would join neighbours (`'a' 'b'`)."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    tokens = [token for token in tokens if token.type not in (tokenize.NL, tokenize.NEWLINE)]
    lines = io.StringIO(text).readlines()  # as the tokenizer counts them
    for left, right in reversed(list(itertools.pairwise(tokens))):
        if left.type in _VALUES and right.type in _VALUES:
            row, column = left.end
            line = lines[row - 1]
            lines[row - 1] = f"{line[:column]},{line[column:]}"
    return "".join(lines)


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() | bool() | int() | float() | None as value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return _object(keys, values)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Name(id="nan"):
            return None
        case (
            ast.Call(func=ast.Name(id=name), args=[item], keywords=words)
            | ast.Call(
                func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name),
                args=[item],
                keywords=words,
            )
        ) if _NUMPY.fullmatch(name) and all(word.arg == "dtype" for word in words):
            return _value(item)
    raise ValueError(f"not a literal ({type(node).__name__})")


def _object(keys: list[ast.expr | None], values: list[ast.expr]) -> dict[str, Any]:
    names = [key.value for key in keys if isinstance(key, ast.Constant)]
    texts = [name for name in names if isinstance(name, str)]
    if len(set(texts)) < len(keys):
        raise ValueError("not a literal with a string as each key, and each of them once")
    return dict(zip(texts, map(_value, values), strict=True))
