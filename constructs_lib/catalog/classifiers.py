"""Classifiers: how a crawler reads files that its built-in ones would read otherwise; they are asked first, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from constructs_lib.checks import require, require_one_of

HEADERS = ("ABSENT", "PRESENT", "UNKNOWN")
"""Whether files begin with the names of their columns; UNKNOWN lets Glue guess."""

_GLUE_S_OWN = ("csv", "json", "xml")


class Classifier(Protocol):
    """How files of one form are read."""

    @property
    def name(self) -> str:
        """Name, unique among the crawler's classifiers."""
        ...

    def properties(self, name: str) -> dict[str, Any]:
        """Properties of the resource, under the name that it has in the account."""
        ...


@dataclass(frozen=True, kw_only=True)
class CsvClassifier:
    """Files whose lines are columns with one character between them.

    Attributes:
        name: Name, unique among the crawler's classifiers.
        delimiter: Character between two columns, such as `|`.
        quote: Character around values that hold the delimiter.
        header: `PRESENT`, `ABSENT` or `UNKNOWN`.
        columns: Names of the columns; needed if no file has them.
        allow_single_column: Whether a file of one column is of this form as well.
    """

    name: str
    delimiter: str
    quote: str = '"'
    header: str = "PRESENT"
    columns: Sequence[str] = ()
    allow_single_column: bool = False

    def properties(self, name: str) -> dict[str, Any]:
        """Properties of the resource, checked."""
        for label, value in (("delimiter", self.delimiter), ("quote", self.quote)):
            require(len(value) == 1 and value not in "\r\n", f"{label} of the classifier {self.name} must be one character, got {value!r}")
        require(
            self.delimiter != self.quote,
            f"delimiter and quote of the classifier {self.name} are both {self.quote!r}: quotes keep a delimiter out of the columns, so they differ",
        )
        require_one_of(self.header, HEADERS, name=f"header of the classifier {self.name}")
        require(
            self.header != "ABSENT" or bool(self.columns),
            f"the classifier {self.name} says that files have no header: name their `columns`, or every table has col0, col1 and so on",
        )
        return {
            "csv_classifier": {
                "name": name,
                "delimiter": self.delimiter,
                "quoteSymbol": self.quote,
                "containsHeader": self.header,
                "header": list(self.columns) or None,
                "allowSingleColumn": self.allow_single_column,
            }
        }


@dataclass(frozen=True, kw_only=True)
class JsonClassifier:
    """JSON files whose rows are deeper in the document.

    Attributes:
        name: Name, unique among the crawler's classifiers.
        json_path: Where the rows are, such as `$.records[*]`.
    """

    name: str
    json_path: str

    def properties(self, name: str) -> dict[str, Any]:
        """Properties of the resource, checked."""
        require(
            self.json_path.startswith("$"),
            f"json_path of the classifier {self.name} begins with $, such as $.records[*], got {self.json_path!r}",
        )
        return {"json_classifier": {"name": name, "jsonPath": self.json_path}}


@dataclass(frozen=True, kw_only=True)
class XmlClassifier:
    """XML files.

    Attributes:
        name: Name, unique among the crawler's classifiers.
        row_tag: Element that is a row; one that closes itself (`<row/>`) is no row to Glue.
        classification: Word for the form, which tables are marked with.
    """

    name: str
    row_tag: str
    classification: str

    def properties(self, name: str) -> dict[str, Any]:
        """Properties of the resource, checked."""
        tag = self.row_tag
        require(bool(tag) and not set(tag) & set("<>/ "), f"row_tag of the classifier {self.name} is a name without brackets, got {tag!r}")
        _check_classification(self.name, self.classification)
        return {"xml_classifier": {"name": name, "rowTag": tag, "classification": self.classification}}


@dataclass(frozen=True, kw_only=True)
class GrokClassifier:
    """Lines of text that a pattern takes apart.

    Attributes:
        name: Name, unique among the crawler's classifiers.
        pattern: Grok pattern of a line, such as `%{TIMESTAMP_ISO8601:at} %{WORD:level} %{GREEDYDATA:message}`.
        classification: Word for the form, which tables are marked with.
        custom_patterns: Patterns of one's own that it uses, a `NAME regular-expression` a line.
    """

    name: str
    pattern: str
    classification: str
    custom_patterns: str = ""

    def properties(self, name: str) -> dict[str, Any]:
        """Properties of the resource, checked."""
        require("%{" in self.pattern, f"pattern of the classifier {self.name} names no part %{{PATTERN:column}}, got {self.pattern!r}")
        _check_classification(self.name, self.classification)
        return {
            "grok_classifier": {
                "name": name,
                "grokPattern": self.pattern,
                "classification": self.classification,
                "customPatterns": self.custom_patterns or None,
            }
        }


def _check_classification(name: str, word: str) -> None:
    require(
        bool(word) and word not in _GLUE_S_OWN,
        f"classification of the classifier {name} is a word of your own, not one of Glue's ({', '.join(_GLUE_S_OWN)}), got {word!r}",
    )
