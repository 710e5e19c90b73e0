"""Parses the part of SOQL that integrations use, with Salesforce's error texts (crm.md A8).

SELECT fields (also over relationships: `Owner.Name`) or COUNT(); FROM one object; WHERE with AND, OR, NOT, brackets,
= != <> < <= > >= LIKE, IN and NOT IN with lists or a sub-select; ORDER BY; LIMIT; OFFSET. Literals: 'text', numbers,
TRUE, FALSE, NULL, dates, date-times, TODAY, YESTERDAY, TOMORROW, LAST_N_DAYS:n, NEXT_N_DAYS:n. No GROUP BY, no other
functions, no child sub-selects: those are MALFORMED_QUERY here.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from syncagent.sandbox.salesforce.world import RequestError

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<text>'(?:\\.|[^'\\])*')
    | (?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<number>[+-]?\d+(?:\.\d+)?)
    | (?P<range>(?:LAST|NEXT)_N_DAYS:\d+)
    | (?P<word>[A-Za-z_][\w.]*)
    | (?P<sign><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_DAYS: Final = ("TODAY", "YESTERDAY", "TOMORROW")


@dataclass(slots=True)
class Token:
    """A piece of the query and where it begins."""

    kind: str
    text: str
    at: int


@dataclass(slots=True)
class Literal:
    """A constant: `kind` is text, number, boolean, null, date, moment, or day (a named day or range)."""

    kind: str
    value: Any


@dataclass(slots=True)
class Compare:
    """`path` `sign` literal(s); a sub-select stands in `sub`."""

    path: str
    at: int
    sign: str
    values: list[Literal]
    sub: "Select | None" = None


@dataclass(slots=True)
class Logic:
    """AND, OR or NOT over conditions."""

    word: str
    parts: list["Condition"]


Condition = Compare | Logic


@dataclass(slots=True)
class Order:
    """One ORDER BY item."""

    path: str
    at: int
    descending: bool
    nulls_last: bool


@dataclass(slots=True)
class Select:
    """A parsed query; `fields` are (path, position)."""

    text: str
    fields: list[tuple[str, int]]
    count: bool
    kind: str
    kind_at: int
    where: Condition | None = None
    order: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0


def refuse(text: str, at: int, code: str, message: str) -> RequestError:
    """An error of a query: the lines around the place, a caret under it, and the message."""
    start = max(0, at - 40)
    around = text[start : at + 40]
    caret = " " * (at - start) + "^"
    return RequestError(400, code, f"\n{around}\n{caret}\nERROR at Row:1:Column:{at + 1}\n{message}")


def parse(text: str) -> Select:
    """The parsed query; RequestError with MALFORMED_QUERY when it is not one."""
    parser = _Parser(text)
    found = parser.select()
    if parser.here is not None:
        raise parser.unexpected()
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                raise refuse(text, at, "MALFORMED_QUERY", f"unexpected token: '{text[at]}'")
            self.tokens.append(Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
            at = match.end()
        self.place = 0

    @property
    def here(self) -> Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def unexpected(self) -> RequestError:
        token = self.here
        if token is None:
            return refuse(self.text, len(self.text), "MALFORMED_QUERY", "unexpected token: '<EOF>'")
        return refuse(self.text, token.at, "MALFORMED_QUERY", f"unexpected token: '{token.text}'")

    def take(self, *kinds: str) -> Token:
        token = self.here
        if token is None or token.kind not in kinds:
            raise self.unexpected()
        self.place += 1
        return token

    def eat(self, *words: str) -> bool:
        ahead = self.tokens[self.place : self.place + len(words)]
        if [token.text.upper() for token in ahead] != list(words) or any(token.kind == "text" for token in ahead):
            return False
        self.place += len(words)
        return True

    def need(self, word: str) -> None:
        if not self.eat(word):
            raise self.unexpected()

    def select(self) -> Select:
        self.need("SELECT")
        count = self.eat("COUNT", "(", ")")
        fields = [] if count else [self.path()]
        while not count and self.eat(","):
            fields.append(self.path())
        self.need("FROM")
        kind = self.take("word")
        found = Select(self.text, fields, count, kind.text, kind.at)
        if self.eat("WHERE"):
            found.where = self.condition()
        if self.eat("ORDER", "BY"):
            found.order.append(self.order())
            while self.eat(","):
                found.order.append(self.order())
        if self.eat("LIMIT"):
            found.limit = self.whole()
        if self.eat("OFFSET"):
            found.offset = self.whole()
        return found

    def whole(self) -> int:
        token = self.take("number")
        if not token.text.isdigit():
            raise refuse(self.text, token.at, "MALFORMED_QUERY", f"invalid number: {token.text}")
        return int(token.text)

    def path(self) -> tuple[str, int]:
        token = self.take("word")
        if self.here is not None and self.here.text == "(":
            raise self.unexpected()
        return token.text, token.at

    def order(self) -> Order:
        path, at = self.path()
        descending = self.eat("DESC")
        if not descending:
            self.eat("ASC")
        last = self.eat("NULLS", "LAST")
        if not last and not self.eat("NULLS", "FIRST"):
            last = descending
        return Order(path, at, descending, last)

    def condition(self) -> Condition:
        # Salesforce refuses AND beside OR without brackets
        first = self.part()
        for word in ("AND", "OR"):
            if self.eat(word):
                parts = [first, self.part()]
                while self.eat(word):
                    parts.append(self.part())
                if self.here is not None and self.here.text.upper() in ("AND", "OR"):
                    raise self.unexpected()
                return Logic(word, parts)
        return first

    def part(self) -> Condition:
        if self.eat("NOT"):
            return Logic("NOT", [self.part()])
        if self.eat("("):
            inner = self.condition()
            self.need(")")
            return inner
        path, at = self.path()
        if self.eat("LIKE"):
            if self.here is None or self.here.kind != "text":
                raise self.unexpected()
            return Compare(path, at, "LIKE", [self.literal()])
        for sign, words in (("IN", ("IN",)), ("NOT IN", ("NOT", "IN"))):
            if self.eat(*words):
                return self.inside(path, at, sign)
        sign = self.take("sign").text
        if sign in "(),":
            self.place -= 1
            raise self.unexpected()
        return Compare(path, at, "!=" if sign == "<>" else sign, [self.literal()])

    def inside(self, path: str, at: int, sign: str) -> Compare:
        self.need("(")
        if self.here is not None and self.here.text.upper() == "SELECT":
            found = Compare(path, at, sign, [], self.select())
        else:
            values = [self.literal()]
            while self.eat(","):
                values.append(self.literal())
            found = Compare(path, at, sign, values)
        self.need(")")
        return found

    def literal(self) -> Literal:
        token = self.take("text", "number", "date", "moment", "range", "word")
        if token.kind == "text":
            return Literal("text", re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), token.text[1:-1]))
        if token.kind == "number":
            return Literal("number", float(token.text))
        if token.kind == "range":
            return Literal("day", token.text.upper())
        if token.kind == "word":
            word = token.text.upper()
            if word in ("TRUE", "FALSE"):
                return Literal("boolean", word == "TRUE")
            if word == "NULL":
                return Literal("null", None)
            if word in _DAYS:
                return Literal("day", word)
            self.place -= 1
            raise self.unexpected()
        try:
            datetime.fromisoformat(token.text)
        except ValueError as error:
            raise refuse(self.text, token.at, "MALFORMED_QUERY", f"no such day or time: {token.text}") from error
        return Literal(token.kind, token.text)
