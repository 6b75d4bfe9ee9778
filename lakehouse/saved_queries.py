"""A query that is kept in a workgroup under a name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class SavedQuery:
    """A query to keep in a workgroup.

    Attributes:
        name: Its name, `<domain>_<file>`.
        description: What it is for.
        sql: The statement; without question marks it is kept as a named query, with them as a prepared statement.
        databases: Databases that it names, that of its first table first.
        parameters: Question marks in it.
    """

    name: str
    description: str
    sql: str
    databases: tuple[str, ...]
    parameters: int = 0

    def prefixed(self, prefix: str) -> SavedQuery:
        """The query in an environment that puts a prefix before every database."""
        if not prefix:
            return self
        sql = self.sql
        for database in self.databases:
            sql = re.sub(rf'(?<![\w."]){re.escape(database)}(?=\s*\.)', f"{prefix}{database}", sql)
            sql = re.sub(rf'"{re.escape(database)}"(?=\s*\.)', f'"{prefix}{database}"', sql)
        return replace(self, sql=sql, databases=tuple(f"{prefix}{database}" for database in self.databases))
