"""A small strict reader of DQDL, after the public grammar: just what our rulesets may hold, anything else is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*\n)
  | (?P<blank>[ \t\n]+)
  | (?P<date>"[0-9]{4}-[0-9]{2}-[0-9]{2}")
  | (?P<time>"[0-9]{1,2}:[0-9]{2}([ ][AP]M)?")
  | (?P<string>"(?:\\"|\\\\|[^"])*?")
  | (?P<number>-?[0-9]+(\.[0-9]+)?)
  | (?P<operator><=|>=|<|>|=)
  | (?P<sign>[\[\],()])
  | (?P<word>[A-Za-z][A-Za-z0-9_.]*)
    """,
    re.VERBOSE,
)
COLUMN_RULES = {"IsComplete": 1, "ColumnValues": 1, "ColumnLength": 1, "ReferentialIntegrity": 2, "CustomSql": 1, "RowCount": 0}
MANY_COLUMNS = ("IsPrimaryKey", "IsUnique")
NEEDS_CONDITION = ("ColumnValues", "ColumnLength", "ReferentialIntegrity", "CustomSql", "RowCount")


@dataclass(frozen=True)
class Rule:
    """One rule: its type, parameters, condition as tokens, and filter."""

    type: str
    parameters: tuple[str, ...]
    condition: tuple[str, ...]
    where: str | None


class DqdlError(Exception):
    """The text is no DQDL that we may write."""


def parse(text: str) -> list[Rule]:
    """Rules of a ruleset."""
    return _Parser(list(tokens(text))).rules()


def tokens(text: str) -> list[tuple[str, str]]:
    """Tokens of a text, without blanks and comments."""
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise DqdlError(f"no token at {text[position : position + 30]!r}")
        if match.lastgroup not in ("comment", "blank"):
            kind = next(name for name in ("date", "time", "string", "number", "operator", "sign", "word") if match[name] is not None)
            found.append((kind, match[0]))
        position = match.end()
    return found


class _Parser:
    def __init__(self, items: list[tuple[str, str]]) -> None:
        self.items = items

    def take(self, *kinds: str, text: str | None = None) -> str:
        kind, found = self.items.pop(0) if self.items else ("end", "")
        if kind not in kinds or (text is not None and found != text):
            raise DqdlError(f"expected {text or kinds}, found {found!r}")
        return found

    def peek(self) -> tuple[str, str]:
        return self.items[0] if self.items else ("end", "")

    def rules(self) -> list[Rule]:
        self.take("word", text="Rules")
        self.take("operator", text="=")
        self.take("sign", text="[")
        rules: list[Rule] = []
        while self.peek()[1] != "]":
            if rules:
                self.take("sign", text=",")
            rules.append(self.rule())
        self.take("sign", text="]")
        if self.items:
            raise DqdlError(f"text after the rules: {self.items[0]}")
        return rules

    def rule(self) -> Rule:
        type_ = self.take("word")
        parameters: list[str] = []
        while self.peek()[0] in ("string", "date", "time"):
            parameters.append(self.take("string"))
        if type_ in MANY_COLUMNS:
            if not parameters:
                raise DqdlError(f"{type_} without a column")
        elif COLUMN_RULES.get(type_) != len(parameters):
            raise DqdlError(f"{type_} with {len(parameters)} parameters")
        condition = self.condition()
        if bool(condition) != (type_ in NEEDS_CONDITION):
            raise DqdlError(f"{type_} with the condition {condition}")
        where = None
        if self.peek() == ("word", "where"):
            self.take("word")
            where = self.take("string")
        return Rule(type_, tuple(parameters), tuple(condition), where)

    def condition(self) -> list[str]:
        kind, text = self.peek()
        if kind == "operator":
            return [self.take("operator"), self.take("number", "date")]
        if (kind, text) == ("word", "matches"):
            return [self.take("word"), self.take("string")]
        if (kind, text) == ("word", "in"):
            self.take("word")
            self.take("sign", text="[")
            values = [self.value(None)]
            first = self.kind
            while self.peek()[1] == ",":
                self.take("sign")
                values.append(self.value(first))
            self.take("sign", text="]")
            return ["in", *values]
        return []

    kind = ""

    def value(self, kind: str | None) -> str:
        self.kind = self.peek()[0]
        if kind is not None and self.kind != kind:
            raise DqdlError(f"a list mixes {kind} and {self.kind}")
        return self.take("string", "number", "date")
