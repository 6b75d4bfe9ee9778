"""A statement word by word, for the commands that are Redshift's alone."""

from __future__ import annotations

from sqlglot.tokenizer_core import Token, TokenType

from local.redshift.dialect import tokenize
from local.redshift.errors import RefusedError, SqlError

LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL, which cuts longer ones; Redshift has 127."""


class Words:
    """The words of a statement and a place among them.

    Args:
        sql: The statement.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._tokens = tokenize(sql)
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> str:
        """A word in capitals; a string or a quoted name is never a keyword."""
        at = self._at + ahead
        if at >= len(self._tokens):
            return ""
        token = self._tokens[at]
        return "" if token.token_type in _QUOTED else _spaced(token)

    def accept(self, *words: str) -> bool:
        """Step over these words, if they come next."""
        text = " ".join(words)
        taken, found = 0, ""
        while len(found) < len(text) and self.peek(taken):
            found = f"{found} {self.peek(taken)}".strip()
            taken += 1
        if found != text:
            return False
        self._at += taken
        return True

    def expect(self, *words: str) -> None:
        """Step over these words.

        Raises:
            SqlError: Something else stands here.
        """
        if not self.accept(*words):
            raise self.wrong(f"expected {' '.join(words)}")

    def name(self) -> str:
        """A name, folded to lower case."""
        token = self._take()
        if token.token_type in {TokenType.STRING, TokenType.NUMBER, TokenType.L_PAREN, TokenType.R_PAREN, TokenType.COMMA}:
            raise self.wrong("expected a name")
        return folded(token.text)

    def qualified(self) -> tuple[str, ...]:
        """A name with what stands before it: `schema.table`."""
        parts = [self.name()]
        while self.peek() == ".":
            self._take()
            parts.append(self.name())
        return tuple(parts)

    def names(self) -> list[str]:
        """Names in parentheses."""
        self.expect("(")
        found = [self.name()]
        while self.accept(","):
            found.append(self.name())
        self.expect(")")
        return found

    def string(self) -> str:
        """A string literal."""
        token = self._take()
        if token.token_type not in _STRINGS:
            raise self.wrong("expected a string")
        return token.text

    @property
    def has_string(self) -> bool:
        """Whether a string literal comes next."""
        return not self.is_done and self._tokens[self._at].token_type in _STRINGS

    @property
    def has_number(self) -> bool:
        """Whether a number comes next."""
        return not self.is_done and self._tokens[self._at].token_type == TokenType.NUMBER

    def number(self) -> int:
        """A whole number, with its sign."""
        sign = -1 if self.accept("-") else 1
        token = self._take()
        if not token.text.isdigit():
            raise self.wrong("expected a number")
        return sign * int(token.text)

    def rest(self) -> str:
        """The text from here on; nothing is left then."""
        found = self.sql[self._tokens[self._at].start :] if not self.is_done else ""
        self._at = len(self._tokens)
        return found.rstrip().rstrip(";").rstrip()

    def until(self, *stops: str) -> str:
        """The text up to a word at this depth of parentheses, which is not stepped over."""
        start, depth = self._at, 0
        while not self.is_done:
            word = self.peek()
            if depth == 0 and (word in stops or (word == ")" and ")" in stops)):
                break
            depth += (word == "(") - (word == ")")
            self._at += 1
        taken = self._tokens[start : self._at]
        return self.sql[taken[0].start : taken[-1].end + 1] if taken else ""

    def wrong(self, what: str) -> SqlError:
        """The error of a statement that is not of Redshift's grammar here."""
        token = self._tokens[min(self._at, len(self._tokens) - 1)] if self._tokens else None
        return SqlError(f'syntax error at or near "{token.text if token else ""}": {what}')

    def end(self) -> None:
        """Raise if something is left."""
        if not self.is_done:
            raise self.wrong("nothing may follow here")

    def _take(self) -> Token:
        if self.is_done:
            raise self.wrong("the statement ends here")
        self._at += 1
        return self._tokens[self._at - 1]


def folded(name: str) -> str:
    """A name as Redshift keeps it: in lower case, quoted or not.

    Raises:
        RefusedError: It is longer than PostgreSQL's names.
    """
    if len(name.encode()) > LONGEST_NAME:
        raise RefusedError(f"a name of more than {LONGEST_NAME} bytes", instead=f"Shorten {name}")
    return name.lower()


_STRINGS = frozenset({TokenType.STRING, TokenType.HEREDOC_STRING, TokenType.RAW_STRING})
_QUOTED = _STRINGS | {TokenType.IDENTIFIER}


def _spaced(token: Token) -> str:
    return " ".join(token.text.upper().split())
