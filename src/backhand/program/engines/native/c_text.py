"""Text of others in C: layers as they print, names from a network. It says something; it does
nothing.

Every comment and every name that is not a constant of this package is made here.
"""

from __future__ import annotations

import re
from collections.abc import Container

KEYWORDS = frozenset(
    "auto bool break case char const continue default do double else enum extern float for goto "
    "if inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while true false arena scratch main step key".split()
)


def as_comment(*lines: str) -> str:
    """Lines as one comment of C.

    What is not plain ASCII becomes "_", and with it the backslash, which would join lines; a
    sign is set apart where two together would end a comment, begin one, or be a trigraph.
    """
    text = "\n   ".join(_harmless(line) for line in lines)
    text = re.sub(r" +\n", "\n", text)
    return f"/* {text} */"


def _harmless(line: str) -> str:
    plain = re.sub(r"[^ -\[\]-~]", "_", line)
    return re.sub(r"\*(?=/)|/(?=\*)|\?(?=\?)", r"\g<0> ", plain).rstrip()


def identifier(name: str) -> str:
    """A name in C for any name, unlike a keyword and those that the writer makes up."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not found[:1].isalpha():
        found = f"x{found}"
    if found in KEYWORDS or re.fullmatch(r"[A-Za-z]+\d+", found):  # as i1, which is a loop's
        found += "_"
    return found


def not_among(taken: Container[str], name: str) -> str:
    """The name, with as many underscores as make it another than the taken ones."""
    while name in taken:
        name += "_"
    return name
