"""What may change between a locked contract and the one that is written now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lakehouse.contracts.compiler.contract import AuthoredContract
from lakehouse.contracts.compiler.documents import Place
from lakehouse.contracts.compiler.lock import Lock, LockedField, LockedRule
from lakehouse.errors import Fault

WIDENINGS = frozenset({("int", "long"), ("float", "double")})
"""Changes of type that Iceberg makes in place, beside a larger precision of a decimal."""

ANOTHER_DATASET = "make it a new dataset (a new contract id), move its readers, then retire this one"
"""The way out of a change that no table can follow."""

_DECIMAL = re.compile(r"decimal\((\d+), (\d+)\)")
_SEVERITIES = ("info", "warning", "error", "critical")
_ACTIONS = ("record", "warn", "quarantine", "halt")
_CLASSES = ("", "public", "internal", "confidential", "restricted")


@dataclass(kw_only=True)
class Change:
    """The difference between two versions of a contract.

    Attributes:
        refused: Faults of what the table cannot follow.
        major: What readers must adapt to, in words.
        minor: What readers may notice, in words.
    """

    refused: list[Fault] = field(default_factory=list[Fault])
    major: list[str] = field(default_factory=list[str])
    minor: list[str] = field(default_factory=list[str])

    @classmethod
    def between(cls, authored: AuthoredContract, old: Lock, new: Lock) -> Change:
        """Compare a contract with its lock file."""
        change = cls()
        _Comparison(authored=authored, old=old, new=new, change=change).run()
        return change


@dataclass(kw_only=True)
class _Comparison:
    authored: AuthoredContract
    old: Lock
    new: Lock
    change: Change

    def run(self) -> None:
        if self.old.zone != self.new.zone:
            self._refuse(("servers",), f"the table moves from {self.old.zone} to {self.new.zone}", ANOTHER_DATASET)
        self._dropped()
        for path, entry in self.new.fields.items():
            before = self.old.fields.get(path)
            if before is not None:
                self._kept(path, before, entry)
                continue
            self._added(path, entry)
            if path in self.old.retired and self.old.retired[path].type != entry.type:
                self._type(path, self.old.retired[path].type, entry.type)
        self._keys()
        if [(part.path, part.transform) for part in self.old.partition if part.active] != [
            (part.path, part.transform) for part in self.new.partition if part.active
        ]:
            self.change.minor.append("the partition changes")
        self._rules()

    def _refuse(self, place: Place, problem: str, fix: str) -> None:
        self.change.refused.append(self.authored.document.fault(place, problem, fix))

    def _place(self, path: str, key: str = "") -> Place:
        """Place of the column that a path belongs to."""
        for column in self.authored.columns:
            if column.field.id == path.partition(".")[0]:
                return (*column.place, key) if key else column.place
        return ("schema", 0, "properties")

    def _dropped(self) -> None:
        gone = {path: entry for path, entry in self.old.fields.items() if path not in self.new.fields}
        for path, entry in gone.items():
            parent = path.rpartition(".")[0]
            if parent in gone or (parent and _is_another_type(self.old, self.new, parent)):
                continue
            place = self._place(path)
            same_name = [
                other
                for other, now in self.new.fields.items()
                if other not in self.old.fields and now.name == entry.name and other.rpartition(".")[0] == parent
            ]
            if same_name:
                self._refuse(
                    self._place(same_name[0], "id"),
                    f"the id {path!r} of {entry.name!r} became {same_name[0]!r}, which drops the column with its values and adds an empty one",
                    f"keep id: {path.rpartition('.')[2]}; a rename changes the name only",
                )
            elif any(part.path == path for part in self.old.partition):
                self._refuse(
                    place,
                    f"{path!r} is dropped, but it partitions files of the table",
                    f"keep it and announce it by deprecated: true, or {ANOTHER_DATASET}",
                )
            elif path in self.old.keys:
                self._refuse(place, f"{path!r} is dropped, but it is part of the primary key", ANOTHER_DATASET)
            elif not entry.deprecated:
                self._refuse(
                    place,
                    f"{path!r} is dropped without having been announced",
                    f"put {entry.name} back with deprecated: true, lock and release that version, and drop it in a later one",
                )
            else:
                self.change.major.append(f"{path} is dropped")

    def _added(self, path: str, entry: LockedField) -> None:
        parent = path.rpartition(".")[0]
        if parent and (parent not in self.old.fields or _is_another_type(self.old, self.new, parent)):
            return
        if entry.required:
            self._refuse(
                self._place(path),
                f"{path!r} is new and required, but rows that are already in the table have no value for it",
                "add it with required: false; judge new rows by a quality entry (metric: nullValues, mustBe: 0)",
            )
        for gone, was in self.old.retired.items():
            if was.name == entry.name and gone != path and gone.rpartition(".")[0] == parent:
                self._refuse(
                    self._place(path, "name"),
                    f"{entry.name!r} is the name of a dropped column, {gone!r}, which the table still holds",
                    f"choose another name, or bring the column back by id: {gone.rpartition('.')[2]}",
                )
        self.change.minor.append(f"{path} is added")

    def _kept(self, path: str, before: LockedField, entry: LockedField) -> None:
        if before.type != entry.type:
            self._type(path, before.type, entry.type)
        if entry.required and not before.required:
            self._refuse(
                self._place(path, "required"),
                f"{path!r} becomes required, but rows that are already in the table may have no value for it",
                "leave required: false; judge new rows by a quality entry (metric: nullValues, mustBe: 0)",
            )
        if before.required and not entry.required:
            self.change.major.append(f"{path} may be NULL now")
        if before.name != entry.name:
            self.change.major.append(f"{path} is renamed from {before.name} to {entry.name}")
        if _CLASSES.index(entry.classification) < _CLASSES.index(before.classification):
            self.change.major.append(f"the classification of {path} falls from {before.classification} to {entry.classification}")
        elif entry.classification != before.classification:
            self.change.minor.append(f"the classification of {path} rises")
        if before.pii and before.pii != entry.pii:
            self.change.major.append(f"{path} is no longer tagged pii:{before.pii}")
        elif before.pii != entry.pii:
            self.change.minor.append(f"{path} is tagged pii:{entry.pii}")
        if entry.deprecated and not before.deprecated:
            self.change.minor.append(f"{path} is announced to go")

    def _type(self, path: str, before: str, now: str) -> None:
        place = self._place(path, "logicalType")
        if path.endswith(".key") and self.old.fields.get(path.rpartition(".")[0], _NOTHING).type == "map":
            self._refuse(place, f"the key of a map changes from {before} to {now}", ANOTHER_DATASET)
        elif _widens(before, now):
            self.change.minor.append(f"{path} widens from {before} to {now}")
        else:
            self._refuse(
                place,
                f"{path!r} changes from {before} to {now}: {_why_not(before, now)}",
                f"keep {before}, add a column with the new type beside it, or {ANOTHER_DATASET}",
            )

    def _keys(self) -> None:
        if self.old.keys != self.new.keys:
            was, now = ", ".join(self.old.keys), ", ".join(self.new.keys)
            places = [
                column.place for column in self.authored.columns if (column.field.id in self.old.keys) != (column.field.id in self.new.keys)
            ]
            self._refuse(
                (*places[0], "primaryKey") if places else ("schema", 0),
                f"the primary key changes from {was} to {now}: rows that are already in the table were merged by the old one",
                ANOTHER_DATASET,
            )

    def _rules(self) -> None:
        for id_, before in self.old.rules.items():
            entry = self.new.rules.get(id_)
            if entry is None:
                # A required column that becomes optional, or one that is dropped, is told of where columns are compared.
                column = id_.partition(".")[0]
                is_gone = column in self.old.fields and column not in self.new.fields
                if not is_gone and not id_.endswith(".not_null"):
                    self.change.major.append(f"the rule {id_} is removed")
            elif _loosened(before, entry):
                self.change.major.append(f"the rule {id_} is loosened or judges something else")
            elif before != entry:
                self.change.minor.append(f"the rule {id_} is tightened")
        for id_ in self.new.rules:
            column, dot, _ = id_.partition(".")
            if id_ not in self.old.rules and (not dot or column in self.old.fields):
                self.change.minor.append(f"the rule {id_} is added")
        if self.new.score_threshold < self.old.score_threshold:
            self.change.major.append(f"scoreThreshold falls from {self.old.score_threshold:g} to {self.new.score_threshold:g}")
        if self.new.max_quarantine_percent > self.old.max_quarantine_percent:
            self.change.major.append(
                f"maxQuarantinePercent rises from {self.old.max_quarantine_percent:g} to {self.new.max_quarantine_percent:g}"
            )


_NOTHING = LockedField(id=0, name="", type="", required=False)


def version_faults(authored: AuthoredContract, old: Lock | None, change: Change) -> Iterator[Fault]:
    """Faults of a version that does not tell readers of a change.

    Args:
        authored: The contract as it is written now.
        old: Its lock file, if it has one.
        change: The difference between the two.
    """
    if old is None:
        return
    was, now = _numbers(old.version), _numbers(authored.version)
    place: Place = ("version",)
    if now < was:
        yield authored.document.fault(
            place, f"{authored.version} is lower than {old.version}, which is locked", f"write a version above {old.version}"
        )
        return
    # Before 1.0.0 a minor version may break, as semantic versioning has it.
    breaking = 1 if was[0] == 0 and now[0] == 0 else 0
    major_version, minor_version = _raised(was, breaking), _raised(was, 1)
    if change.major and now[: breaking + 1] <= was[: breaking + 1]:
        yield authored.document.fault(
            place, f"{authored.version} does not tell readers that {_told(change.major)}", f"write version: {major_version} or higher"
        )
    elif change.minor and not change.major and now[:2] <= was[:2]:
        yield authored.document.fault(
            place, f"{authored.version} does not tell readers that {_told(change.minor)}", f"write version: {minor_version} or higher"
        )


def _told(changes: list[str], *, most: int = 4) -> str:
    more = f" and {len(changes) - most} more" if len(changes) > most else ""
    return "; ".join(changes[:most]) + more


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _raised(version: tuple[int, ...], position: int) -> str:
    parts = [*version[:position], version[position] + 1, *([0] * (len(version) - position - 1))]
    return ".".join(map(str, parts))


def _is_another_type(old: Lock, new: Lock, path: str) -> bool:
    return path in old.fields and path in new.fields and old.fields[path].type != new.fields[path].type


def _widens(before: str, now: str) -> bool:
    if (before, now) in WIDENINGS:
        return True
    was, is_ = _DECIMAL.fullmatch(before), _DECIMAL.fullmatch(now)
    return bool(was and is_ and was[2] == is_[2] and int(is_[1]) > int(was[1]))


def _why_not(before: str, now: str) -> str:
    was, is_ = _DECIMAL.fullmatch(before), _DECIMAL.fullmatch(now)
    if was and is_:
        return "the scale of a decimal cannot change" if was[2] != is_[2] else "values that are already in the table may not fit"
    if (now, before) in WIDENINGS:
        return "values that are already in the table may not fit"
    if {before, now} == {"timestamp", "timestamptz"}:
        return "every value would mean another moment"
    return "a table cannot change the type of its values"


def _loosened(before: LockedRule, now: LockedRule) -> bool:
    """Whether a rule lets more pass than it did, or cannot be compared."""
    if _SEVERITIES.index(now.severity) < _SEVERITIES.index(before.severity) or _ACTIONS.index(now.action) < _ACTIONS.index(before.action):
        return True
    if (before.kind, before.operator, before.unit) != (now.kind, now.operator, now.unit):
        return True
    if before.threshold is not None and now.threshold is not None and before.threshold != now.threshold:
        if before.operator in ("gt", "ge"):
            return now.threshold < before.threshold
        if before.operator in ("lt", "le"):
            return now.threshold > before.threshold
        return True
    return _args_loosened(before.kind, before.args, now.args)


def _args_loosened(kind: str, before: Mapping[str, object], now: Mapping[str, object]) -> bool:
    if before == now:
        return False
    if kind == "in_set":
        return not set(map(str, _list(now))) <= set(map(str, _list(before)))
    if kind in ("range", "length"):
        return any(_bound_loosened(word, value, now) for word, value in before.items())
    return True


def _list(args: Mapping[str, object]) -> list[object]:
    values = args.get("values")
    return list(values) if isinstance(values, list | tuple) else []


def _bound_loosened(word: str, value: object, now: Mapping[str, object]) -> bool:
    other = word.removeprefix("exclusive_") if word.startswith("exclusive_") else f"exclusive_{word}"
    found, is_other = (now.get(word), False) if word in now else (now.get(other), True)
    order = _compared(found, value)
    if order is None:
        return True
    if order == 0:
        return is_other and word.startswith("exclusive_")
    return order < 0 if "min" in word else order > 0


def _compared(a: object, b: object) -> int | None:
    """-1, 0 or 1 as a is less than, equal to or more than b; None if they cannot be compared."""
    if isinstance(a, str) and isinstance(b, str):
        return (a > b) - (a < b)
    if isinstance(a, int | float) and isinstance(b, int | float):
        return (a > b) - (a < b)
    return None
