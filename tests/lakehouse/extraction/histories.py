"""A source with random histories, and an extraction of it by the real SQL and the real rules of marks, into tables that are Python's.

The source is a real PostgreSQL: transactions overlap, commit late, and change rows while they are read. What Spark does between the two (merge by key,
supersede, delete) is written out here once more, in the fewest words; tests/lakehouse/spark/test_extraction.py holds it to the real thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from lakehouse.contracts.model import DatabaseSource, SourcePartitions, WatermarkColumn
from lakehouse.extraction import postgresql as sql
from lakehouse.extraction.marks import begin, is_reconciliation_due, mark_name, next_mark, reconciled_name, sequence_of, to_mark
from lakehouse.watermarks import Mark

OVERLAP = 10
"""Minutes, or units: no transaction of a history takes longer."""

BASE = datetime(2026, 1, 1, tzinfo=UTC)
CRASHES = ("snapshot", "keys", "read", "bronze", "quarantine", "silver", "recorded")
"""Where a run may be killed."""

key = st.integers(0, 7)
stamp = st.sampled_from(["now", "now", "now", "none", "future", "same"])
change = st.one_of(
    st.tuples(st.just("put"), key, st.integers(0, 3), stamp), st.tuples(st.just("delete"), key), st.tuples(st.just("backdated"), key)
)
writing = st.tuples(st.just("write"), st.integers(0, 1), change)
ending = st.tuples(st.just("end"), st.integers(0, 1), st.booleans())
waiting = st.tuples(st.just("wait"), st.integers(0, 6))
running = st.tuples(st.just("run"), st.none() | st.sampled_from(CRASHES), st.booleans(), st.lists(st.one_of(writing, ending), max_size=3))
redriving = st.tuples(st.just("redrive"), st.integers(0, 3))
committing = st.tuples(st.just("commit"), st.integers(0, 1), change)
# What is likely to go wrong, as pieces of a history: else it would take thousands of them.
late = st.tuples(st.just("late"), key, key, st.integers(1, 5))
stale = st.tuples(st.just("stale"), key)
operation = st.one_of(writing, committing, committing, ending, waiting, running, redriving, late, stale)
histories = st.lists(operation, min_size=5, max_size=20)


class Killed(Exception):
    """The driver is gone."""


@dataclass(frozen=True)
class Record:
    """A record of bronze."""

    key: str
    value: str | None
    watermark: str | None
    operation: str | None
    row: int


@dataclass
class Batch:
    """What one commit to bronze holds."""

    sequence: str
    records: list[Record]
    is_reconciled: bool
    reached: Mark | None


@dataclass
class World:
    """The source, its writers, the tables, and the marks."""

    is_number: bool
    partitions: int
    reconcile: int | None
    clock: int = 0
    writers: list[Any] = field(default_factory=list)
    since: list[int | None] = field(default_factory=lambda: [None, None])
    readers: list[Any] = field(default_factory=list)
    bronze: dict[str, Batch] = field(default_factory=dict)
    silver: dict[str, tuple[str, int, str | None, str | None]] = field(default_factory=dict)
    newest: str = ""
    marks: dict[str, Mark] = field(default_factory=dict)
    runs: int = 0
    unfinished: list[str] = field(default_factory=list)
    backdated: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)

    @property
    def source(self) -> DatabaseSource:
        type_ = "long" if self.is_number else "timestamptz"
        return DatabaseSource(
            connection="shop",
            engine="postgresql",
            schema="public",
            table=f'Odd "{type_}" things',
            mode="incremental",
            watermark=WatermarkColumn(column="changed", type=type_, overlap=OVERLAP if self.is_number else OVERLAP * 60),
            partitions=SourcePartitions(column="id", type="long", count=self.partitions) if self.partitions > 1 else None,
            reconcile_seconds=self.reconcile,
        )

    @property
    def table(self) -> str:
        return sql.table_name(self.source.schema, self.source.table)

    # ---- the source ---------------------------------------------------------------------------------------------------

    def prepare(self, maker: Any) -> None:
        type_ = "bigint" if self.is_number else "timestamptz"
        maker.execute(f"CREATE TABLE IF NOT EXISTS {self.table} (id bigint PRIMARY KEY, value text, changed {type_})")
        maker.execute(f"DELETE FROM {self.table}")
        maker.commit()

    def stamped(self, how: str, at: int) -> Any:
        if how == "none":
            return None
        # A number has no relation to time: one that jumped ahead would carry the mark with it, so none does.
        when = {"future": at if self.is_number else 10_000_000, "same": at - at % 5}.get(how, at)
        return when if self.is_number else BASE + timedelta(minutes=when)

    def write(self, writer: int, what: Sequence[Any]) -> None:
        """One statement of a transaction; each writer has keys of its own, so that none waits for the other."""
        if self.since[writer] is None:
            self.since[writer] = self.clock
        at = self.since[writer] or 0
        id_ = int(what[1]) * 2 + writer
        run = self.writers[writer].execute
        if what[0] == "delete":
            run(f"DELETE FROM {self.table} WHERE id = %s", (id_,))
        elif what[0] == "backdated":
            # Beyond every overlap: only the comparison of keys can find it.
            if self.reconcile is not None:
                old = -10_000 if self.is_number else BASE - timedelta(days=9)
                run(f"INSERT INTO {self.table} VALUES (%s, 'old', %s) ON CONFLICT DO NOTHING", (id_, old))
                self.backdated.add(str(id_))
        else:
            how = what[3] if what[3] != "same" or at % 5 < OVERLAP else "now"
            run(
                f"INSERT INTO {self.table} VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET value = excluded.value, changed = excluded.changed",
                (id_, f"v{what[2]} it's", self.stamped(how, at)),
            )

    def end(self, writer: int, *, commits: bool) -> None:
        (self.writers[writer].commit if commits else self.writers[writer].rollback)()
        self.since[writer] = None

    def wait(self, minutes: int) -> None:
        self.clock += minutes
        for writer, began in enumerate(self.since):
            # "same" dates a row up to 4 minutes before its transaction began.
            if began is not None and self.clock - began > OVERLAP - 4:
                self.end(writer, commits=True)

    def do(self, operation: Sequence[Any]) -> None:
        match operation[0]:
            case "write":
                self.write(operation[1], operation[2])
            case "end":
                self.end(operation[1], commits=operation[2])
            case "wait":
                self.wait(operation[1])
            case "commit":
                self.write(operation[1], operation[2])
                self.end(operation[1], commits=True)
            case "late":
                self.late(*operation[1:])
            case "stale":
                self.stale(operation[1])
            case "redrive":
                if self.unfinished:
                    self.redrive(self.unfinished[operation[1] % len(self.unfinished)])
            case _:
                self.run(crash=operation[1], is_repeated=operation[2], meanwhile=operation[3])

    def late(self, first: int, second: int, minutes: int) -> None:
        """An update takes its time, another one overtakes it, and a run comes between the two commits."""
        self.end(0, commits=True)
        self.write(0, ("put", first, 1, "now"))
        self.end(0, commits=True)
        self.run()
        self.write(0, ("put", first, 2, "now"))
        self.wait(minutes)
        self.write(1, ("put", second, 3, "now"))
        self.end(1, commits=True)
        self.run()
        self.end(0, commits=True)
        self.run()

    def stale(self, which: int) -> None:
        """A run stops before it refines; the row is deleted, others run, and then it goes on."""
        self.end(0, commits=True)
        self.write(0, ("put", which, 1, "now"))
        self.end(0, commits=True)
        self.run(crash="bronze", is_repeated=False)
        self.write(0, ("delete", which))
        self.end(0, commits=True)
        self.wait(1)
        self.run()
        self.redrive(self.unfinished[-1])
        if self.reconcile == 0:
            assert str(which * 2) not in self.silver, "a deleted row came back"

    # ---- a run --------------------------------------------------------------------------------------------------------

    def run(self, *, crash: str | None = None, is_repeated: bool = True, meanwhile: Sequence[Any] = ()) -> None:
        """One run; killed where it is said, and then repeated by the machine, or left for a later run."""
        self.runs += 1
        run_id = f"0190-{self.runs:06d}"
        try:
            seen = self.attempt(run_id, crash, meanwhile)
        except Killed:
            if not is_repeated:
                if run_id in self.bronze:
                    self.unfinished.append(run_id)
                return
            seen = self.attempt(run_id, None, ())
        self.check(run_id, seen)

    def attempt(self, run_id: str, crash: str | None, meanwhile: Sequence[Any]) -> dict[str, str | None] | None:
        def reached(stage: str) -> None:
            if stage == crash:
                raise Killed

        seen = None
        if run_id not in self.bronze:
            seen = self.extract(run_id, reached, meanwhile)
        reached("bronze")
        reached("quarantine")
        self.refine(run_id)
        reached("silver")
        reached("recorded")
        self.publish(run_id)
        return seen

    def redrive(self, run_id: str) -> None:
        """What an operator may do with an execution that failed: go on where it stopped, however late."""
        self.unfinished.remove(run_id)
        self.refine(run_id)
        self.publish(run_id)

    def extract(self, run_id: str, reached: Callable[[str], None], meanwhile: Sequence[Any]) -> dict[str, str | None]:
        for reader in self.readers:
            reader.rollback()
        try:
            return self._extract(run_id, reached, meanwhile)
        finally:
            for reader in self.readers:
                reader.rollback()

    def _extract(self, run_id: str, reached: Callable[[str], None], meanwhile: Sequence[Any]) -> dict[str, str | None]:
        source, main, *others = self.source, *self.readers
        main.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        (snapshot, _) = main.execute(sql.SNAPSHOT).fetchone()
        moment = BASE + timedelta(minutes=self.clock)
        truth = dict(main.execute(f"SELECT id::text, value FROM {self.table}").fetchall())
        for operation in meanwhile:
            self.do(operation)
        reached("snapshot")
        found = main.execute(sql.COLUMNS.replace("?", "%s"), (source.schema, source.table)).fetchall()
        columns = [sql.SourceColumn(name=name, type=type_, kind=kind) for name, type_, kind in found]
        assert source.watermark is not None
        held = self.marks.get(mark_name("t", source))
        where = sql.since(begin(held, source.watermark), source.watermark)
        ((largest,),) = main.execute(sql.largest(source.watermark, table=self.table, mark=held, moment=moment)).fetchall()
        reached_mark = next_mark([self.as_mark(largest)], watermark=source.watermark, moment=moment)
        is_due = is_reconciliation_due(source, last=self.marks.get(reconciled_name("t", source)), moment=moment)
        deletes: list[str] = []
        missed: list[str] = []
        if is_due:
            flag = f"({where}) IS TRUE" if where else "true"
            keys = self.read(snapshot, others, columns[:1], None, extra=[flag])
            theirs = {row[0] for row in keys}
            deletes = sorted(set(self.silver) - theirs)
            missed = sorted(row[0] for row in keys if row[0] not in self.silver and not row[1])
        reached("keys")
        rows = self.read(snapshot, others, columns, where)
        if missed:
            rows += self.read(snapshot, others, columns, sql.with_keys(columns[:1], [(text,) for text in missed]), is_split=False)
        reached("read")
        records = [Record(row[0], row[1], row[2], None, place) for place, row in enumerate(rows, start=1)]
        records += [Record(text, None, None, "delete", len(rows) + place) for place, text in enumerate(deletes, start=1)]
        self.bronze[run_id] = Batch(sequence_of(moment, run_id), records, is_due, reached_mark)
        # The rows themselves say the same, as far as it moves the mark.
        read = next_mark(
            [self.as_mark(record.watermark) for record in records if record.operation is None], watermark=source.watermark, moment=moment
        )
        assert further(held, reached_mark) == further(held, read)
        self.commits.append(run_id)
        return truth

    def read(
        self,
        snapshot: str,
        readers: Sequence[Any],
        columns: Sequence[sql.SourceColumn],
        where: str | None,
        *,
        extra: Sequence[str] = (),
        is_split: bool = True,
    ) -> list[tuple[Any, ...]]:
        """As Spark reads: each part by a connection that imports the snapshot."""
        partitions = self.source.partitions if is_split else None
        main = self.readers[0]
        conditions: Sequence[str] = ()
        if partitions is not None:
            least, most = main.execute(sql.bounds(partitions, table=self.table, where=where)).fetchone()
            conditions = sql.ranges(partitions, least=least, most=most, count=partitions.count)
        column = partitions.column if partitions is not None and conditions else None
        query = sql.selection(columns, table=self.table, where=where, partition_column=column, extra=extra)
        width = len(columns) + len(extra)
        rows: list[tuple[Any, ...]] = []
        for place, condition in enumerate(conditions or ["true"]):
            reader = readers[place % len(readers)]
            reader.rollback()
            reader.execute(sql.import_snapshot(snapshot))
            rows += [row[:width] for row in reader.execute(f"SELECT * FROM ({query}) AS q WHERE {condition}").fetchall()]
            reader.rollback()
        return rows

    def refine(self, run_id: str) -> None:
        batch = self.bronze[run_id]
        if batch.sequence < self.newest:
            return
        for record in batch.records:
            held = self.silver.get(record.key)
            if held is not None and held[0] > batch.sequence:
                continue
            if record.operation == "delete":
                self.silver.pop(record.key, None)
            elif held is None or held[2:] != (record.value, record.watermark):
                self.silver[record.key] = (batch.sequence, record.row, record.value, record.watermark)
        self.newest = batch.sequence

    def publish(self, run_id: str) -> None:
        """Move the marks, as the recorder does: never back."""
        source, batch = self.source, self.bronze[run_id]
        moment = datetime.fromisoformat(batch.sequence.partition("#")[0])
        assert source.watermark is not None
        proposed = {mark_name("t", source): batch.reached}
        if batch.is_reconciled:
            proposed[reconciled_name("t", source)] = to_mark(moment)
        for name, mark in proposed.items():
            held = self.marks.get(name)
            if mark is not None and (held is None or held < mark):  # type: ignore[operator]
                self.marks[name] = mark

    def as_mark(self, text: str | None) -> Mark | None:
        if text is None:
            return None
        return int(text) if self.is_number else to_mark(datetime.fromisoformat(text))

    # ---- what must hold -----------------------------------------------------------------------------------------------

    def check(self, run_id: str, truth: dict[str, str | None] | None) -> None:
        """After a run that published: nothing is lost of what the source had; if keys were compared, nothing is there besides."""
        assert len(self.commits) == len(set(self.commits)), "an extraction entered bronze twice"
        for batch in self.bronze.values():
            keys = [record.key for record in batch.records]
            assert len(keys) == len(set(keys)), "an extraction holds a key twice"
        if truth is None:
            return
        held = {key_: row[2] for key_, row in self.silver.items()}
        for key_, value in truth.items():
            assert held.get(key_, "missing") == value or key_ in self.backdated, f"lost: {key_} = {value}, silver has {held.get(key_)}"
        if self.bronze[run_id].is_reconciled:
            assert held == truth


def further(held: Mark | None, proposed: Mark | None) -> Mark | None:
    """The mark after a proposal: it never moves back."""
    if held is None or proposed is None:
        return held if proposed is None else proposed
    return max(held, proposed)  # type: ignore[type-var]
