"""What may change between two versions of a contract, and which version it asks for."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.errors import ConfigurationError
from tests.contract_project import Alter, Document, Project, add, both, column, on, ours, rule, table

PRICE_F32 = on("price", physicalType=None, logicalTypeOptions={"format": "f32"})
PRICE_F64 = on("price", physicalType=None, logicalTypeOptions={"format": "f64"})
KEEP: Alter = lambda document: None  # noqa: E731 - a change that changes nothing


def options(id_: str, **values: Any) -> Alter:
    return on(id_, logicalTypeOptions=values)


def remove(id_: str) -> Alter:
    return lambda document: document["schema"][0]["properties"].remove(column(document, id_))


def struct(*fields: Document, **changes: Any) -> Alter:
    return add(id="box", logicalType="object", properties=list(fields), **changes)


def field(id_: str, **changes: Any) -> Document:
    return {"id": id_, "name": id_, "logicalType": "string", **changes}


ZONED = on("status", logicalType="timestamp", logicalTypeOptions={"timezone": True})
LOCAL = on("status", logicalType="timestamp", logicalTypeOptions={"timezone": False})
SECOND_KEY = on("status", primaryKey=True, primaryKeyPosition=2, required=True)
PARTITIONED = on("ordered", partitioned=True, partitionKeyPosition=1)

REFUSED: dict[str, tuple[Alter, Alter, str, str]] = {
    "drop without announcement": (KEEP, remove("status"), "'status' is dropped without having been announced", "deprecated: true"),
    "changed id": (KEEP, on("status", id="state"), "the id 'status' of 'status' became 'state'", "keep id: status"),
    "narrowing": (
        options("order_id", format="i64"),
        options("order_id", format="i32"),
        "changes from long to int: values that are already in the table may not fit",
        "new dataset",
    ),
    "double to float": (PRICE_F64, PRICE_F32, "changes from double to float", "new dataset"),
    "decimal precision down": (KEEP, on("price", physicalType="decimal(12,2)"), "may not fit", "keep decimal(15, 2)"),
    "decimal scale": (KEEP, on("price", physicalType="decimal(17,4)"), "the scale of a decimal cannot change", "add a column"),
    "decimal to double": (KEEP, PRICE_F64, "a table cannot change the type", "new dataset"),
    "string to integer": (
        KEEP,
        on("status", logicalType="integer", logicalTypeOptions={"format": "i64"}),
        "changes from string to long",
        "new dataset",
    ),
    "string to object": (KEEP, on("status", logicalType="object", properties=[field("a")]), "changes from string to struct", "new dataset"),
    "time zone added": (LOCAL, ZONED, "every value would mean another moment", "new dataset"),
    "time zone removed": (ZONED, LOCAL, "every value would mean another moment", "new dataset"),
    "new required column": (KEEP, add(required=True), "'extra' is new and required", "required: false"),
    "column becomes required": (KEEP, on("status", required=True), "'status' becomes required", "leave required: false"),
    "key grows": (KEEP, both(SECOND_KEY), "the primary key changes from order_id to order_id, status", "new dataset"),
    "key shrinks": (SECOND_KEY, on("status", required=True), "the primary key changes from order_id, status to order_id", "new dataset"),
    "key column dropped": (SECOND_KEY, remove("status"), "'status' is dropped, but it is part of the primary key", "new dataset"),
    "partition column dropped": (
        both(PARTITIONED, on("ordered", deprecated=True)),
        remove("ordered"),
        "'ordered' is dropped, but it partitions files",
        "keep it",
    ),
    "table moves": (
        KEEP,
        lambda document: (
            document["servers"].pop(0),
            document["servers"][0].update(database="gold_sales"),
            [node.pop("transformSourceObjects") for node in document["schema"][0]["properties"]],
        ),
        "moves from silver to gold",
        "new dataset",
    ),
    "nested field dropped": (
        struct(field("a"), field("b")),
        struct(field("a")),
        "'box.b' is dropped without having been announced",
        "deprecated: true",
    ),
    "nested field required": (
        struct(field("a")),
        struct(field("a"), field("b", required=True)),
        "'box.b' is new and required",
        "required: false",
    ),
    "nested type": (struct(field("a")), struct(field("a", logicalType="boolean")), "'box.a' changes from string to boolean", "new dataset"),
    "key of a map": (
        add(
            logicalType="map",
            map={"key": {"logicalType": "integer", "logicalTypeOptions": {"format": "i32"}}, "value": {"logicalType": "string"}},
        ),
        add(
            logicalType="map",
            map={"key": {"logicalType": "integer", "logicalTypeOptions": {"format": "i64"}}, "value": {"logicalType": "string"}},
        ),
        "the key of a map changes from int to long",
        "new dataset",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_whatever_the_version(project: Project, case: str) -> None:
    before, after, problem, fix = REFUSED[case]
    project.compiled(before)
    lock = (project.folder / "sales/orders.lock.json").read_text()
    project.alter(after, version="9.0.0")
    for action in (project.compile, project.lock):
        with pytest.raises(ConfigurationError) as caught:
            action()
        faults = [fault for fault in caught.value.faults if problem in fault.problem]
        assert len(faults) == 1, caught.value
        assert fix in faults[0].fix
        assert faults[0].file == "contracts/sales/orders.odcs.yaml"
        assert faults[0].line > 0
        assert not [fault for fault in caught.value.faults if "run `" in fault.fix], caught.value
    assert (project.folder / "sales/orders.lock.json").read_text() == lock


ENUM_AB = on("status", enum=[{"value": "A"}, {"value": "B"}])
ENUM_ABC = on("status", enum=[{"value": "A"}, {"value": "B"}, {"value": "C"}])

NEEDED: dict[str, tuple[Alter, Alter, str]] = {
    "nothing": (KEEP, KEEP, "patch"),
    "a description": (KEEP, on("status", description="State."), "patch"),
    "an optional column": (KEEP, add(), "minor"),
    "an optional struct with required fields": (KEEP, struct(field("a", required=True)), "minor"),
    "an optional nested field": (struct(field("a")), struct(field("a"), field("b")), "minor"),
    "int to long": (options("order_id", format="i32"), options("order_id", format="i64"), "minor"),
    "float to double": (PRICE_F32, PRICE_F64, "minor"),
    "decimal precision up": (KEEP, on("price", physicalType="decimal(18,2)"), "minor"),
    "nested int to long": (
        struct(field("a", logicalType="integer", logicalTypeOptions={"format": "i32"})),
        struct(field("a", logicalType="integer", logicalTypeOptions={"format": "i64"})),
        "minor",
    ),
    "announcement": (KEEP, on("status", deprecated=True), "minor"),
    "drop after announcement": (on("status", deprecated=True), remove("status"), "major"),
    "rename": (KEEP, on("status", name="state"), "major"),
    "required to optional": (KEEP, on("ordered", required=False), "major"),
    "partition": (KEEP, PARTITIONED, "minor"),
    "classification down": (KEEP, on("status", classification="public"), "major"),
    "classification up": (KEEP, on("status", classification="confidential"), "minor"),
    "tag removed": (on("status", tags=["pii:name"]), KEEP, "major"),
    "tag added": (KEEP, on("status", tags=["pii:name"]), "minor"),
    "value allowed": (ENUM_AB, ENUM_ABC, "major"),
    "value no longer allowed": (ENUM_ABC, ENUM_AB, "minor"),
    "values limited": (KEEP, ENUM_AB, "minor"),
    "values no longer limited": (ENUM_AB, KEEP, "major"),
    "lower bound falls": (on("price", logicalTypeOptions={"minimum": 1}), on("price", logicalTypeOptions={"minimum": 0}), "major"),
    "lower bound rises": (on("price", logicalTypeOptions={"minimum": 1}), on("price", logicalTypeOptions={"minimum": 2}), "minor"),
    "bound becomes inclusive": (
        on("price", logicalTypeOptions={"exclusiveMinimum": 1}),
        on("price", logicalTypeOptions={"minimum": 1}),
        "major",
    ),
    "bound becomes exclusive": (
        on("price", logicalTypeOptions={"maximum": 1}),
        on("price", logicalTypeOptions={"exclusiveMaximum": 1}),
        "minor",
    ),
    "longer texts": (options("status", maxLength=3), options("status", maxLength=4), "major"),
    "shorter texts": (options("status", maxLength=4), options("status", maxLength=3), "minor"),
    "another pattern": (options("status", pattern="^A$"), options("status", pattern="^B$"), "major"),
    "rule added": (KEEP, rule(metric="rowCount", mustBeGreaterThan=0), "minor"),
    "rule removed": (rule(metric="rowCount", mustBeGreaterThan=0), KEEP, "major"),
    "rule milder": (
        rule(metric="rowCount", mustBeGreaterThan=0),
        rule(metric="rowCount", mustBeGreaterThan=0, severity="warning"),
        "major",
    ),
    "rule stricter": (
        rule(metric="rowCount", mustBeGreaterThan=0),
        rule(metric="rowCount", mustBeGreaterThan=0, severity="critical"),
        "minor",
    ),
    "threshold looser": (rule(metric="rowCount", mustBeGreaterThan=5), rule(metric="rowCount", mustBeGreaterThan=4), "major"),
    "threshold tighter": (rule(metric="rowCount", mustBeLessThan=5), rule(metric="rowCount", mustBeLessThan=4), "minor"),
    "another operator": (rule(metric="rowCount", mustBeLessThan=5), rule(metric="rowCount", mustBeGreaterThan=5), "major"),
    "score threshold falls": (table(customProperties=[ours("gate", {"scoreThreshold": 99})]), KEEP, "major"),
    "breaker loosened": (table(customProperties=[ours("gate", {"maxQuarantinePercent": 5})]), KEEP, "major"),
}
VERSIONS = {"patch": "1.0.1", "minor": "1.1.0", "major": "2.0.0"}
ORDER = ("patch", "minor", "major")


@pytest.mark.parametrize("case", NEEDED)
def test_a_change_asks_for_its_version(project: Project, case: str) -> None:
    before, after, needed = NEEDED[case]
    project.compiled(before)
    for part in ORDER[: ORDER.index(needed)]:
        project.alter(after, version=VERSIONS[part])
        with pytest.raises(ConfigurationError) as caught:
            project.lock()
        assert [fault.place for fault in caught.value.faults] == ["version"], caught.value
        assert "does not tell readers that" in caught.value.faults[0].problem
        assert VERSIONS[needed] in caught.value.faults[0].fix
    project.compiled(after, version=VERSIONS[needed])


def test_before_1_0_0_a_minor_version_may_break(project: Project) -> None:
    project.compiled(version="0.1.0")
    project.alter(on("status", name="state"), version="0.1.1")
    with pytest.raises(ConfigurationError, match=r"write version: 0\.2\.0 or higher"):
        project.lock()
    project.compiled(on("status", name="state"), version="0.2.0")


def test_a_version_does_not_fall(project: Project) -> None:
    project.compiled(version="1.2.0")
    project.alter(version="1.1.9")
    with pytest.raises(ConfigurationError, match=r"1\.1\.9 is lower than 1\.2\.0, which is locked"):
        project.lock()


def test_synth_says_which_command_brings_the_lock_file_up_to_date(project: Project) -> None:
    project.alter()
    with pytest.raises(
        ConfigurationError, match=r"sales/orders\.lock\.json: .* does not exist\. Fix: run `python -m lakehouse\.contracts\.compiler lock`"
    ):
        project.compile()
    project.lock()
    project.alter(add(), version="1.1.0")
    with pytest.raises(
        ConfigurationError, match=r"is not what the contract says\. Fix: run `python -m lakehouse\.contracts\.compiler lock`"
    ):
        project.compile()
    project.lock()
    assert project.compile()["sales.orders"].column("extra").field_id == 5


def test_a_renamed_column_keeps_its_field_id_and_its_place_in_bronze(project: Project) -> None:
    before = project.compiled()
    after = project.compiled(on("status", name="state"), version="2.0.0")
    assert after.column("state").field_id == before.column("status").field_id
    assert after.raw == before.raw


def test_a_dropped_column_keeps_its_raw_column_and_comes_back_as_the_same(project: Project) -> None:
    before = project.compiled(on("status", deprecated=True))
    dropped = project.compiled(remove("status"), version="2.0.0")
    assert [(raw.name, raw.active) for raw in dropped.raw] == [("order_id", True), ("status", False), ("price", True), ("ordered", True)]
    assert dropped.raw_columns == ("order_id", "price", "ordered")
    added = project.compiled(both(remove("status"), add()), version="2.1.0")
    assert added.column("extra").field_id == 5
    back = project.compiled(add(), version="2.2.0")
    assert back.column("status").field_id == before.column("status").field_id


def test_a_dropped_name_is_not_given_to_another_column(project: Project) -> None:
    project.compiled(on("status", deprecated=True))
    project.compiled(remove("status"), version="2.0.0")
    project.alter(both(remove("status"), add(id="state", name="status")), version="2.1.0")
    with pytest.raises(ConfigurationError, match="is the name of a dropped column, 'status', which the table still holds"):
        project.lock()


def test_a_column_does_not_come_back_with_another_type(project: Project) -> None:
    project.compiled(on("status", deprecated=True))
    project.compiled(remove("status"), version="2.0.0")
    project.alter(on("status", logicalType="boolean"), version="2.1.0")
    with pytest.raises(ConfigurationError, match="'status' changes from string to boolean"):
        project.lock()


def test_a_partition_field_that_comes_back_has_its_old_id(project: Project) -> None:
    first = project.compiled(PARTITIONED)
    project.compiled(
        on("ordered", partitioned=True, partitionKeyPosition=1, customProperties=[ours("partitionTransform", "month")]), version="1.1.0"
    )
    back = project.compiled(PARTITIONED, version="1.2.0")
    assert back.partition == first.partition
    assert project.compiled(KEEP, version="1.3.0").partition == ()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "lakehouse.lock/1"}', '{"format": "other/1"}', "\x00"])
def test_a_broken_lock_file_is_told(project: Project, text: str) -> None:
    project.compiled()
    (project.folder / "sales/orders.lock.json").write_text(text)
    for action in (project.compile, project.lock):
        with pytest.raises(
            ConfigurationError,
            match=r"orders\.lock\.json: .* cannot be read: .* restore contracts/sales/orders\.lock\.json from version control",
        ):
            action()


def test_a_lock_file_that_gives_an_id_twice_is_told(project: Project) -> None:
    project.compiled()
    path = project.folder / "sales/orders.lock.json"
    path.write_text(path.read_text().replace('"price": {"id": 3', '"price": {"id": 2'))
    with pytest.raises(ConfigurationError, match="a field id stands twice"):
        project.compile()


def test_a_lock_file_without_its_contract_is_told(project: Project) -> None:
    project.alter()
    project.lock()
    (project.folder / "sales/orders.odcs.yaml").rename(project.folder / "sales/kept.txt")
    with pytest.raises(ConfigurationError, match="is a lock file whose contract is gone"):
        project.compile()


def test_a_draft_is_checked_and_neither_locked_nor_deployed(project: Project) -> None:
    project.alter(status="draft")
    project.lock()
    assert project.compile() == {}
    assert not (project.folder / "sales/orders.lock.json").exists()
    project.alter(on("status", classification="secret"), status="draft")
    with pytest.raises(ConfigurationError, match="is not a classification"):
        project.compile()
