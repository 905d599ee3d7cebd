"""Tokens of the Penn Treebank to plain text, as people write it and encoders have read it.

SST-2 consists of such tokens: "(A) film that doesn't bore" stands there as "-lrb- a -rrb- film that
does n't bore". Marcus et al., Building a Large Annotated Corpus of English (1993). Where white
space was before is not always to be known: an ellipsis is put to the word before it.
"""

import re
from typing import Literal

#: What to do about such tokens.
TreebankTokens = Literal["keep", "join"]

_SPELLING = {
    "-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}",
    "``": '"', "''": '"', "`": "'",
}  # fmt: skip
#: What is joined to the token behind it, and what to the token before.
_OPENING = re.compile(r"``?|-l[rsc]b-|[(\[{$#]", re.IGNORECASE)
_CLOSING = re.compile(r"''?|-r[rsc]b-|[)\]}%]|[.,:;?!]+|n't|'(s|re|ve|ll|d|m)", re.IGNORECASE)


def plain_text(text: str) -> str:
    """`text` with its tokens spelled and put together as people do; words stay as they are."""
    result, is_open = "", True
    for token in filter(None, text.split(" ")):
        space = "" if is_open or _CLOSING.fullmatch(token) else " "
        spelled = _SPELLING.get(token.lower(), token)
        result += space + spelled.replace(r"\/", "/").replace(r"\*", "*")
        is_open = _OPENING.fullmatch(token) is not None
    return result
