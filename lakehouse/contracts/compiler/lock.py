"""The lock file of a contract: field ids for ever, and what was promised when it was last locked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.contracts.compiler.contract import AuthoredContract
from lakehouse.contracts.compiler.nodes import kind, type_json, walk
from lakehouse.contracts.model import Column, CompiledContract, PartitionField, RawColumn, SortField

FORMAT = "lakehouse.lock/1"
"""Version of the lock file."""

LOCK_SUFFIX = ".lock.json"
"""How the name of a lock file ends."""

FIRST_PARTITION_ID = 1000
"""Iceberg numbers partition fields from here."""

COMMAND = "python -m lakehouse.contracts.compiler lock"
"""What brings lock files up to date."""


@dataclass(frozen=True, kw_only=True)
class LockedField:
    """A column or nested field as it was locked."""

    id: int
    name: str
    type: str
    required: bool
    classification: str = ""
    deprecated: bool = False
    pii: str | None = None


@dataclass(frozen=True, kw_only=True)
class LockedPartition:
    """A partition field as it was locked; one that is no longer used keeps its id."""

    id: int
    path: str
    transform: str
    name: str
    active: bool


@dataclass(frozen=True, kw_only=True)
class LockedRule:
    """A rule as it was locked: enough to see whether it was loosened."""

    kind: str
    severity: str
    action: str
    args: dict[str, Any] = field(default_factory=dict[str, Any])
    operator: str | None = None
    threshold: float | None = None
    unit: str = "rows"


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What a lock file holds.

    Attributes:
        contract: Id of the contract.
        version: Version that was locked.
        zone: Zone of the table.
        last_field_id: Largest field id ever given.
        fields: Columns and nested fields by their path of ids.
        retired: Dropped columns and nested fields by path; the table keeps them, so a path that comes back gets its id back.
        raw: Field ids of the columns of bronze by name; none is ever dropped.
        keys: Paths of the primary key.
        partition: Partition fields ever used.
        rules: Rules by id.
        score_threshold: Threshold of the gate.
        max_quarantine_percent: Breaker of the gate.
    """

    contract: str
    version: str
    zone: str
    last_field_id: int = 0
    fields: dict[str, LockedField] = field(default_factory=dict[str, LockedField])
    retired: dict[str, LockedField] = field(default_factory=dict[str, LockedField])
    raw: dict[str, int] = field(default_factory=dict[str, int])
    keys: tuple[str, ...] = ()
    partition: tuple[LockedPartition, ...] = ()
    rules: dict[str, LockedRule] = field(default_factory=dict[str, LockedRule])
    score_threshold: float = 0.0
    max_quarantine_percent: float = 100.0

    def to_text(self) -> str:
        """The file's text: one field a line, so that a review shows what changes."""
        lines = ["{", f'  "format": {json.dumps(FORMAT)},']
        document = asdict(self)
        for index, (key, value) in enumerate(document.items()):
            comma = "," if index < len(document) - 1 else ""
            if isinstance(value, dict) and value:
                entries = [f"    {json.dumps(name)}: {json.dumps(_short(entry), ensure_ascii=False)}" for name, entry in value.items()]
                lines.append(f"  {json.dumps(key)}: {{\n" + ",\n".join(entries) + f"\n  }}{comma}")
            elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
                entries = [f"    {json.dumps(_short(entry), ensure_ascii=False)}" for entry in value]
                lines.append(f"  {json.dumps(key)}: [\n" + ",\n".join(entries) + f"\n  ]{comma}")
            else:
                lines.append(f"  {json.dumps(key)}: {json.dumps(value)}{comma}")
        return "\n".join([*lines, "}", ""])

    @classmethod
    def from_text(cls, text: str) -> Lock:
        """Read the file's text.

        Raises:
            ValueError: It is not a lock file of this format.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            if document.pop("format", None) != FORMAT:
                raise ValueError(f"its format is not {FORMAT}")
            fields = {path: LockedField(**entry) for path, entry in document.pop("fields").items()}
            rules = {name: LockedRule(**entry) for name, entry in document.pop("rules").items()}
            partition = tuple(LockedPartition(**entry) for entry in document.pop("partition"))
            retired = {path: LockedField(**entry) for path, entry in document.pop("retired").items()}
            keys = tuple(document.pop("keys"))
            lock = cls(fields=fields, rules=rules, partition=partition, retired=retired, keys=keys, **document)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"it does not hold what a lock file holds ({error})") from error
        lock._check()
        return lock

    def _check(self) -> None:
        used = [entry.id for entry in (*self.fields.values(), *self.retired.values())]
        if len(set(used)) != len(used):
            raise ValueError("a field id stands twice")
        if used and max(used) > self.last_field_id:
            raise ValueError(f"last_field_id {self.last_field_id} is less than a field id in use")
        if len(set(self.raw.values())) != len(self.raw):
            raise ValueError("a raw field id stands twice")


def lock_path(contract_file: Path) -> Path:
    """Lock file of a contract file: `orders.odcs.yaml` -> `orders.lock.json`."""
    return contract_file.with_name(contract_file.name.removesuffix(".odcs.yaml") + LOCK_SUFFIX)


def next_lock(authored: AuthoredContract, old: Lock | None) -> Lock:
    """The lock of a contract, given the one before: known paths keep their ids, new ones get ids never used before.

    Args:
        authored: The contract.
        old: Its lock file, if it has one.
    """
    last = old.last_field_id if old else 0
    before = {**old.retired, **old.fields} if old else {}
    leaf = {column.field.id: column for column in authored.columns}
    fields: dict[str, LockedField] = {}
    for path, node in walk(tuple(column.field for column in authored.columns)):
        known = before.get(path)
        if known is None:
            last += 1
        column = leaf.get(path) if "." not in path else None
        fields[path] = LockedField(
            id=known.id if known else last,
            name=node.name,
            type=kind(node.type),
            required=node.required,
            classification=column.classification if column else "",
            deprecated=column.deprecated if column else False,
            pii=column.pii if column else None,
        )
    raw = dict(old.raw) if old else {}
    for column in authored.columns:
        for name in column.sources:
            raw.setdefault(name, max(raw.values(), default=0) + 1)
    return Lock(
        contract=authored.id,
        version=authored.version,
        zone=authored.zone,
        last_field_id=last,
        fields=fields,
        retired={path: entry for path, entry in before.items() if path not in fields},
        raw=raw,
        keys=tuple(next(column.field.id for column in authored.columns if column.name == key) for key in authored.keys),
        partition=_partition(authored, old),
        rules={
            rule.id: LockedRule(
                kind=rule.kind,
                severity=rule.severity,
                action=rule.action,
                args=rule.args,
                operator=rule.operator,
                threshold=rule.threshold,
                unit=rule.unit,
            )
            for rule in authored.quality.rules
        },
        score_threshold=authored.quality.score_threshold,
        max_quarantine_percent=authored.quality.max_quarantine_percent,
    )


def number(authored: AuthoredContract, lock: Lock) -> CompiledContract:
    """The compiled contract: what was authored, with the field ids of its lock."""
    active_raw = {name for column in authored.columns for name in column.sources}
    ids = {column.name: lock.fields[column.field.id].id for column in authored.columns}
    active = {(entry.path, entry.transform): entry for entry in lock.partition if entry.active}
    return CompiledContract(
        id=authored.id,
        version=authored.version,
        status=authored.status,
        zone=authored.zone,
        domain=authored.domain,
        dataset=authored.dataset,
        description=authored.description,
        owner=authored.owner,
        columns=tuple(
            Column(
                id=column.field.id,
                name=column.name,
                field_id=ids[column.name],
                type=type_json(column.type, path=column.field.id, allocate=lambda path: lock.fields[path].id),
                required=column.field.required,
                source=column.sources[0] if len(column.sources) == 1 else None,
                logic=column.logic,
                format=column.format,
                classification=column.classification,
                pii=column.pii,
                description=column.description,
            )
            for column in authored.columns
        ),
        keys=authored.keys,
        partition=tuple(
            PartitionField(
                column=column.name,
                source_id=ids[column.name],
                transform=column.transform,
                name=active[column.field.id, column.transform].name,
                field_id=active[column.field.id, column.transform].id,
            )
            for column in authored.partitioned
        ),
        sort=tuple(
            SortField(column=part.column, source_id=ids[part.column], direction=part.direction, null_order=part.null_order)
            for part in authored.sort
        ),
        write=authored.write,
        warehouse=authored.warehouse,
        source=authored.source,
        quality=authored.quality,
        raw=tuple(
            RawColumn(name=name, field_id=field_id, active=name in active_raw)
            for name, field_id in sorted(lock.raw.items(), key=lambda item: item[1])
        ),
        tags=authored.tags,
        sla=authored.sla,
    )


def _partition(authored: AuthoredContract, old: Lock | None) -> tuple[LockedPartition, ...]:
    known = {(entry.path, entry.transform): entry for entry in (old.partition if old else ())}
    last = max((entry.id for entry in known.values()), default=FIRST_PARTITION_ID - 1)
    wanted: list[LockedPartition] = []
    for column in authored.partitioned:
        entry = known.pop((column.field.id, column.transform), None)
        if entry is None:
            last += 1
            entry = LockedPartition(
                id=last, path=column.field.id, transform=column.transform, name=_partition_name(column.name, column.transform), active=True
            )
        wanted.append(LockedPartition(id=entry.id, path=entry.path, transform=entry.transform, name=entry.name, active=True))
    gone = [
        LockedPartition(id=entry.id, path=entry.path, transform=entry.transform, name=entry.name, active=False) for entry in known.values()
    ]
    return tuple(sorted((*wanted, *gone), key=lambda entry: entry.id))


def _partition_name(column: str, transform: str) -> str:
    """Name that Spark gives to a partition field."""
    if transform == "identity":
        return column
    return f"{column}_{transform.partition('[')[0].replace('truncate', 'trunc')}"


def _short(entry: Any) -> Any:
    """An entry without what is at its default."""
    if not isinstance(entry, dict):
        return entry
    return {key: value for key, value in entry.items() if not _is_default(value) or key in ("required", "active")}


def _is_default(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, str | dict) and value in ("", "rows", {}))
