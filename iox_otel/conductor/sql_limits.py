"""Refusing SQL that is nested deeper than DataFusion's recursion can go: it would end the process.

DataFusion walks expressions and plans recursively, on stacks of 2 MiB, and a chain such as
`a OR b OR c …` is as deep as it is long. From about 2,000 links on that overflows the stack, which
no exception reports (seen with DataFusion 55). Parentheses it limits itself, to 50.
"""

from __future__ import annotations

import re

from .partitions import QueryError

MAX_CHAIN = 1000
"""How many operators may follow one another without a comma or an end of their parentheses."""

_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/   # nothing in these counts
    | [(),;] | [-+*/%|&^\#<>=!~@?:\[]+ | [A-Za-z_][A-Za-z0-9_]*""",
    re.DOTALL | re.VERBOSE,
)
_OPERATOR_WORDS = re.compile(
    "and|or|not|is|in|i?like|similar|rlike|regexp|between|collate|at|div|xor|overlaps|when"
    "|union|except|intersect"
)
_CLAUSE_WORDS = re.compile("select|where|group|having|order|limit|window|with")
_JOIN_LENGTH = 4
"""A join takes so much more of the stack than an operator."""

_SILENT = ("'", '"', "--", "/*")


def check_chains(sql: str) -> None:
    """Accept *sql* unless one of its chains of operators is too long.

    Raises:
        QueryError: it is.
    """
    levels = [_Level()]
    outer_length = 0
    for match in _TOKEN.finditer(sql):
        token = match.group()
        level = levels[-1]
        if token == "(":
            outer_length += level.length
            levels.append(_Level())
        elif token == ")":
            if len(levels) > 1:
                levels.pop()
                outer_length -= levels[-1].length
        elif not token.startswith(_SILENT):
            level.take(token.lower())
            if outer_length + level.length > MAX_CHAIN:
                raise QueryError(f"query is too complex: more than {MAX_CHAIN} operators in a row")


class _Level:
    """What is between two parentheses, as far as it was read."""

    def __init__(self) -> None:
        self.length = 0
        """Of the chain so far."""
        self._in_from = False

    def take(self, token: str) -> None:
        if _CLAUSE_WORDS.fullmatch(token):
            self._in_from = False
        elif token == "from":
            self._in_from = True
        elif token == "join" or (token == "," and self._in_from):
            self.length += _JOIN_LENGTH
        elif token in (",", ";"):  # other lists are flat
            self.length = 0
        elif _OPERATOR_WORDS.fullmatch(token) or not (token[0].isalpha() or token[0] == "_"):
            self.length += 1
