"""`lake rows`: the rows of groups, each a pipeline that nobody deploys; written through the same checks that a run makes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from cli.errors import WrongUseError, nearest
from cli.results import Done
from cli.row_results import GroupRow, GroupRows
from cli.session import Session
from lakehouse.contracts.compiler.documents import Document, read_document
from lakehouse.errors import ConfigurationError, Fault
from lakehouse.naming import DatasetName
from lakehouse.pipelines.spec import PipelineSpec
from lakehouse.rows import KEYS, InvalidRowError, Row, RowTable, parse_row

LIST = "rows"
"""Key of a file under which rows stand."""


def list_rows(session: Session, *, group: str | None) -> GroupRows:
    """Rows of a group, or of all groups, in the order in which they are begun.

    Raises:
        WrongUseError: There is no such group.
    """
    groups = sorted(_groups(session)) if group is None else [_group(session, group).name]
    table = _table(session)
    rows = [_shown(session, name, item) for name in groups for item in table.all(name)]
    return GroupRows(env=session.env, rows=sorted(rows, key=lambda row: (row.group, row.priority, row.row)))


def put_rows(session: Session, *, group: str, file: Path) -> Done:
    """Write the rows of a file; those that are there are replaced, others stay. Nothing is written unless every row is sound.

    Raises:
        WrongUseError: There is no such group.
        ConfigurationError: The file has faults; it names all of them.
    """
    spec = _group(session, group)
    faults: list[Fault] = []
    document = read_document(file, root=Path.cwd(), faults=faults)
    rows = [] if document is None else list(_read(session, spec, document, faults))
    if faults:
        raise ConfigurationError(faults)
    table = _table(session)
    for row in rows:
        table.put(group, row)
    names = ", ".join(row.row for row in rows)
    return Done(text=f"{len(rows)} row{'s' if len(rows) != 1 else ''} of {group} written: {names}", next=f"lake run {group}")


def switch_row(session: Session, *, group: str, row: str, is_active: bool) -> Done:
    """Switch a row on or off; one that is off is passed over by the next run.

    Raises:
        WrongUseError: There is no such group or row.
    """
    _group(session, group)
    table = _table(session)
    if not table.set_active(group, row, is_active=is_active):
        raise WrongUseError(f"{group} has no row {row!r}: {nearest(row, (str(item['sk']) for item in table.all(group)))}")
    return Done(text=f"row {row} of {group} is {'active' if is_active else 'switched off'}", next=f"lake rows {group}")


def row_datasets(session: Session) -> Iterator[DatasetName]:
    """Tables of bronze that sound rows write, whether they are there or not."""
    table = _table(session)
    for name, spec in _groups(session).items():
        for item in table.all(name):
            with contextlib.suppress(InvalidRowError):
                yield DatasetName(zone="bronze", domain=spec.domain, dataset=parse_row(item).target)


def _read(session: Session, spec: PipelineSpec, document: Document, faults: list[Fault]) -> Iterator[Row]:
    """Sound rows of a file; faults of the others, and of rows that would write what others write."""
    faults.extend(
        document.fault((key,), f"there is no key {key!r}", f"write {LIST}: and under it a list of rows")
        for key in document.value
        if key != LIST
    )
    listed = document.value.get(LIST)
    if not isinstance(listed, list) or not listed:
        faults.append(
            document.fault((LIST,), "is not a list of rows", f"write {LIST}: and under it `- {{row: …, table: …, keys: […], mode: …}}`")
        )
        return
    taken = dict(_targets(session, spec))
    seen: set[str] = set()
    for index, given in enumerate(cast("list[Any]", listed)):
        if not isinstance(given, dict):
            faults.append(document.fault((LIST, index), f"{given!r} is not a row", f"write {{{', '.join(KEYS)}}}"))
            continue
        try:
            row = parse_row(cast("dict[str, Any]", given))
        except InvalidRowError as error:
            faults.extend(
                document.fault((LIST, index, *([fault.key] if fault.key else [])), fault.problem, fault.fix) for fault in error.faults
            )
            continue
        if row.row in seen:
            faults.append(document.fault((LIST, index, "row"), f"{row.row} stands twice", "keep it once"))
        seen.add(row.row)
        writer = taken.get(row.target, (spec.name, row.row))
        if writer != (spec.name, row.row):
            group, name = writer
            whose = f"the row {name} of {group} writes it" if name else f"the contract {group} owns it"
            place = "target" if "target" in given else "row"
            faults.append(document.fault((LIST, index, place), f"{row.target} is taken: {whose}", "write a target of its own"))
        taken[row.target] = (spec.name, row.row)
        yield row


def _targets(session: Session, spec: PipelineSpec) -> Iterator[tuple[str, tuple[str, str]]]:
    """Tables of bronze of the group's domain that are spoken for: by a row (group, row), or by a contract (its id, "")."""
    table = _table(session)
    for name, other in _groups(session).items():
        if other.domain != spec.domain:
            continue
        for item in table.all(name):
            try:
                row = parse_row(item)
            except InvalidRowError:
                continue
            yield row.target, (name, row.row)
    for contract in session.contracts.values():
        if contract.domain == spec.domain and contract.source is not None:
            yield contract.dataset, (contract.id, "")


def _shown(session: Session, group: str, item: dict[str, Any]) -> GroupRow:
    name = str(item["sk"])
    try:
        row = parse_row(item)
    except InvalidRowError as error:
        return GroupRow(
            group=group, row=name, active=item.get("active") is not False, source="", target="", mode="", keys=[], watermark=None,
            overlap=None, priority=0, owner="", fault=str(error),
        )  # fmt: skip
    return GroupRow(
        group=group,
        row=row.row,
        active=row.active,
        source=row.source,
        target=f"{session.names.database('bronze', _groups(session)[group].domain)}.{row.target}",
        mode=row.mode,
        keys=list(row.keys),
        watermark=row.watermark,
        overlap=None if row.overlap is None else str(row.overlap),
        priority=row.priority,
        owner=row.owner,
        fault="",
    )


def _groups(session: Session) -> dict[str, PipelineSpec]:
    return {spec.name: spec for spec in session.pipelines if spec.rows is not None}


def _group(session: Session, name: str) -> PipelineSpec:
    groups = _groups(session)
    if name in groups:
        return groups[name]
    known = {spec.name for spec in session.pipelines}
    if name in known:
        raise WrongUseError(
            f"{name} is no group: it has steps, and its contracts say what it reads. Groups: {', '.join(sorted(groups)) or 'none'}"
        )
    raise WrongUseError(f"there is no group {name!r}: {nearest(name, groups)}")


def _table(session: Session) -> RowTable:
    return RowTable(client=session.client("dynamodb"), table=session.names.run_table("control"))
