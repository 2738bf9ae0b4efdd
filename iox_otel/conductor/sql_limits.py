"""Refusing SQL that is nested deeper than DataFusion's recursion can go: it would end the process.

DataFusion walks expressions and plans recursively, on stacks of 2 MiB, and a chain such as
`a OR b OR c …` is as deep as it is long. From about 2,000 links on that overflows the stack, which
no exception reports (seen with DataFusion 55). Parentheses it limits itself, to 50.

What is text, a name or a comment does not count, so the tokens must be those of DataFusion's
parser, sqlparser's generic dialect: a quotation mark that only one of the two sees hides what
follows it. Where that dialect is odd, the query is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .partitions import QueryError

MAX_CHAIN = 1000
"""How many operators may follow one another without a comma or an end of their parentheses."""

_LETTER = r"[^\s\x00-/:-@\[-^`{-\x7f]"
"""Of a word: in ASCII, letters, digits and `_`; beyond, all but blanks, as what is no letter there
is an error wherever it stands."""

# What is not closed goes to the end: DataFusion refuses it, and to look again would take long.
_QUOTED = rf"""
    --[^\n]*
    | [eExX] '(?:[^'\\] | \\. | \'\')*+(?:'|\Z)  # in these, and no others, a backslash escapes
    | [rR] (?: '{{3}}.*?(?:'{{3}}|\Z) | "{{3}}.*?(?:"{{3}}|\Z) )
    | '(?:[^'] | \'\')*+(?:'|\Z) | "(?:[^"] | "")*+(?:"|\Z) | `(?:[^`] | ``)*+(?:`|\Z)
    | \$(?P<tag>{_LETTER}*)\$.*?(?:\$(?P=tag)\$|\Z)
"""

_ODD = r"""
    /\*M?!  # a hint: a comment that does count
    | [nN]?[qQ]'  # a string whose delimiters one may choose
    | [\#@]+[^\w\ >\#@]  # a name of any character, such as #'
    | \?[0-9]*[^\x00-\x7f\s]  # of digits beyond ASCII, or what follows them
"""

_TOKEN = re.compile(
    rf"""
    (?P<quoted> {_QUOTED} ) | (?P<odd> {_ODD} ) | (?P<comment> /\* )
    | (?P<value> 0x[0-9A-Fa-f]* | (?:[0-9]+\.?[0-9]* | \.[0-9]+)(?:[eE][-+]?[0-9]+)?L?
        | \${_LETTER}* | \?[0-9]* )
    | (?P<word> (?:(?![0-9]){_LETTER} | [\#@]+\w)(?:{_LETTER}+ | [@$\#])*+ | \|> )
    | (?P<mark> [][(){{}},;] )
    | (?P<operator> [\#@]+ | (?: <@ | \^@ | \|\|?/ | // | (?!--|/\*)[-+*/%|&^<>=!~:] )+ )""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")

_OPERATOR = "+"
"""Stands for any; which it is does not matter."""
_OPERATORS = frozenset(
    ("+", "[", "AND", "OR", "NOT", "IS", "IN", "LIKE", "ILIKE", "SIMILAR", "RLIKE", "REGEXP")
    + ("BETWEEN", "COLLATE", "AT", "DIV", "XOR", "OVERLAPS", "WHEN", "MEMBER", "OPERATOR")
    + ("INTERVAL", "EXPLAIN")
)
_SET_OPERATORS = frozenset(("UNION", "EXCEPT", "INTERSECT", "MINUS"))
_CLAUSES = frozenset(("SELECT", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW"))
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_PIPE = "|>"
_JOIN_LENGTH = 4
"""A join takes so much more of the stack than an operator."""


def check_chains(sql: str) -> None:
    """Accept *sql* unless one of its chains of operators is too long.

    Raises:
        QueryError: it is, or a form of text or comment in it is not supported.
    """
    levels = [_Level()]
    outer_length = 0
    for token in _tokens(sql):
        if token in _CLOSING:
            if len(levels) > 1:
                inner = levels.pop()
                outer_length -= levels[-1].length
                levels[-1].enclose(inner)
        else:
            levels[-1].take(token)
        if outer_length + levels[-1].length > MAX_CHAIN:
            raise QueryError(f"query is too complex: more than {MAX_CHAIN} operators in a row")
        if token in _OPENING:
            outer_length += levels[-1].length
            levels.append(_Level())


def _tokens(sql: str) -> Iterator[str]:
    """Return the words of *sql*, in capitals, its marks, and `_OPERATOR` for each operator."""
    position = 0
    while match := _TOKEN.search(sql, position):
        position = match.end()
        kind = match.lastgroup
        if kind == "odd":
            raise QueryError(f"query has what is not supported here: {match.group()!r}")
        if kind == "comment":
            position = _comment_end(sql, position)
        elif kind == "operator":
            yield _OPERATOR
        elif kind in ("word", "mark"):
            yield match.group().upper()


def _comment_end(sql: str, position: int) -> int:
    """Return where the comment ends that was begun before *position*; they nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, position):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


class _Level:
    """What is between two brackets, as far as it was read."""

    def __init__(self) -> None:
        self._sets = 0
        """Selects that are united and such, each with lists of its own."""
        self._sources = 0
        """Of one select: joins, and what else goes on beyond the item of a list."""
        self._item = 0
        """Operators of an item of a list."""
        self._longest_item = 0
        self._in_sources = False

    @property
    def length(self) -> int:
        """Of the chain so far; where it selects from, that is all."""
        return self._all if self._in_sources else self._sets + self._sources + self._item

    @property
    def _all(self) -> int:
        return self._sets + self._sources + max(self._item, self._longest_item)

    def enclose(self, inner: _Level) -> None:
        """Take what was between two brackets within.

        DataFusion makes a select out of one that selects from another: their chains become one.
        """
        if self._in_sources:
            self._sources += inner._all

    def take(self, token: str) -> None:
        """Take what is neither within brackets nor the end of some."""
        if token == ",":
            self._end_item()
            if self._in_sources:
                self._sources += _JOIN_LENGTH
        elif token in _OPERATORS:
            self._item += 1
        elif token in _CLAUSES:
            self._in_sources = False
        elif token in ("FROM", "WITH"):
            self._in_sources = True
        elif token == "JOIN":
            self._sources += _JOIN_LENGTH
        elif token == "STRUCT":  # a type, whose list does not end the chain that it is in
            self._sources += 1
        elif token in _SET_OPERATORS:
            self._end_item()
            self._sets += 1
            self._sources = 0
        elif token == _PIPE:  # selects from what is before it
            self._end_item()
            self._sources += _JOIN_LENGTH + self._longest_item

    def _end_item(self) -> None:
        """Let the next be another item of a list, which is as flat as the list is long."""
        self._longest_item = max(self._item, self._longest_item)
        self._item = 0
