"""Turn tokens of the Penn Treebank into plain text, the form in which encoders are pretrained.

SST-2 has such tokens: "(A) film that doesn't bore" is "-lrb- a -rrb- film that does n't bore".
Marcus et al., Building a Large Annotated Corpus of English (1993). The original white space is not
always known: an ellipsis is joined to the word before it.
"""

import re
from typing import Literal

#: What to do with such tokens.
TreebankTokens = Literal["keep", "join"]

_SPELLING = {
    "-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}",
    "``": '"', "''": '"', "`": "'",
}  # fmt: skip
#: Tokens that are joined to the next token, and tokens that are joined to the one before.
_OPENING = re.compile(r"``?|-l[rsc]b-|[(\[{$#]", re.IGNORECASE)
_CLOSING = re.compile(r"''?|-r[rsc]b-|[)\]}%]|[.,:;?!]+|n't|'(s|re|ve|ll|d|m)", re.IGNORECASE)


def plain_text(text: str) -> str:
    """Spell and join the tokens of `text` as people do; words do not change."""
    result, is_open = "", True
    for token in filter(None, text.split(" ")):
        space = "" if is_open or _CLOSING.fullmatch(token) else " "
        spelled = _SPELLING.get(token.lower(), token)
        result += space + spelled.replace(r"\/", "/").replace(r"\*", "*")
        is_open = _OPENING.fullmatch(token) is not None
    return result
