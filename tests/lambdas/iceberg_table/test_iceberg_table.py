"""Tables follow their definitions: created, evolved without loss, adopted, kept; and CloudFormation always gets an answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.model import PartitionField, SortField
from lakehouse.contracts.tables import TableDefinition
from lambdas.iceberg_table import handler as module
from lambdas.iceberg_table.evolution import IncompatibleChangeError, evolved_fields
from lambdas.iceberg_table.resource import FAILED_SUFFIX, TableRequest, answer_to, id_after_failure
from lambdas.iceberg_table.table import ForeignTableError, IcebergTables, TableAddress
from tests.lambdas.iceberg_table.catalog import ConcurrentModificationException, Glue
from tests.lambdas.world import RAW, World

ADDRESS = TableAddress(database="silver_tpch", table="orders", location=f"s3://{RAW}/silver/tpch/orders")


def _field(id_: int, name: str, type_: Any = "string", *, required: bool = False, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": name, "required": required, "type": type_, **more}


REASONS = {
    "type": "list",
    "element-id": 11,
    "element": {"type": "struct", "fields": [_field(12, "code"), _field(13, "rule")]},
    "element-required": False,
}
EXTRA = {"type": "map", "key-id": 21, "key": "string", "value-id": 22, "value": "string", "value-required": False}

ORDERS = TableDefinition(
    zone="silver",
    domain="tpch",
    name="orders",
    contract_id="tpch.orders",
    contract_version="1.0.0",
    description="Orders.",
    owner="order-data",
    fields=(
        _field(1, "o_orderkey", "long", required=True, doc="Key."),
        _field(2, "o_totalprice", "decimal(15, 2)"),
        _field(3, "o_orderdate", "date"),
        _field(4, "o_shippriority", "int"),
        _field(10, "_reasons", REASONS),
        _field(20, "_extra", EXTRA),
    ),
    identifier_fields=("o_orderkey",),
    partition=(PartitionField(column="o_orderdate", source_id=3, transform="month", name="o_orderdate_month", field_id=1000),),
    sort=(SortField(column="o_orderkey", source_id=1, direction="asc", null_order="nulls-last"),),
    properties={"format-version": "2", "write.parquet.compression-codec": "zstd"},
)


@pytest.fixture
def glue(world: World) -> Glue:
    return Glue(s3=world.s3)


@pytest.fixture
def tables(world: World, glue: Glue) -> IcebergTables:
    return IcebergTables(glue=glue, s3=world.s3)


def _metadata(glue: Glue) -> dict[str, Any]:
    return glue.metadata(ADDRESS.database, ADDRESS.table)


def _columns(glue: Glue) -> dict[str, Any]:
    metadata = _metadata(glue)
    schema = next(schema for schema in metadata["schemas"] if schema["schema-id"] == metadata["current-schema-id"])
    return {field["name"]: field for field in schema["fields"]}


def _changed(*fields: dict[str, Any], base: TableDefinition = ORDERS, **more: Any) -> TableDefinition:
    ids = {field["id"]: field for field in fields}
    kept = [ids.pop(field["id"], field) for field in base.fields]
    return replace(base, fields=(*kept, *ids.values()), **more)


def test_a_table_is_created_with_its_types_keys_partitions_order_and_owner(tables: IcebergTables, glue: Glue) -> None:
    assert tables.put(ADDRESS, ORDERS) == "created"
    metadata = _metadata(glue)
    assert metadata["schemas"] == [ORDERS.schema]
    assert metadata["partition-specs"] == [ORDERS.partition_spec]
    assert metadata["sort-orders"] == [ORDERS.sort_order]
    assert metadata["format-version"] == 2
    assert metadata["properties"] == {
        "write.parquet.compression-codec": "zstd",
        "lakehouse.contract": "tpch.orders",
        "lakehouse.contract-version": "1.0.0",
        "owner": "order-data",
        "comment": "Orders.",
    }


def test_the_same_definition_again_changes_nothing(tables: IcebergTables, glue: Glue) -> None:
    tables.put(ADDRESS, ORDERS)
    assert tables.put(ADDRESS, ORDERS) == "unchanged"
    assert tables.put(ADDRESS, TableDefinition.from_dict(json.loads(ORDERS.to_json()))) == "unchanged"
    assert glue.updates == []


def test_an_optional_column_and_wider_types_are_taken_over(tables: IcebergTables, glue: Glue) -> None:
    tables.put(ADDRESS, ORDERS)
    wider = _changed(
        _field(2, "o_totalprice", "decimal(18, 2)"),
        _field(4, "o_shippriority", "long"),
        _field(5, "o_comment"),
        _field(
            10,
            "_reasons",
            {**REASONS, "element": {"type": "struct", "fields": [_field(12, "code"), _field(13, "rule"), _field(14, "message")]}},
        ),
    )
    assert tables.put(ADDRESS, wider) == "evolved"
    columns = _columns(glue)
    assert (columns["o_totalprice"]["type"], columns["o_shippriority"]["type"], columns["o_comment"]["id"]) == ("decimal(18, 2)", "long", 5)
    assert [entry["name"] for entry in columns["_reasons"]["type"]["element"]["fields"]] == ["code", "rule", "message"]
    assert _metadata(glue)["current-schema-id"] == 1
    assert tables.put(ADDRESS, wider) == "unchanged"


def test_a_rollback_loses_nothing_and_rolling_forward_again_finds_it(tables: IcebergTables, glue: Glue) -> None:
    newer = _changed(_field(4, "o_shippriority", "long"), _field(5, "o_comment"), contract_version="1.1.0")
    tables.put(ADDRESS, ORDERS)
    tables.put(ADDRESS, newer)
    assert tables.put(ADDRESS, ORDERS) == "evolved"
    assert _columns(glue)["o_comment"] == _field(5, "o_comment")
    assert _columns(glue)["o_shippriority"]["type"] == "long"
    assert _metadata(glue)["properties"]["lakehouse.contract-version"] == "1.0.0"
    assert tables.put(ADDRESS, newer) == "evolved"
    assert _metadata(glue)["current-schema-id"] == 1
    assert len(_metadata(glue)["schemas"]) == 2


def test_a_renamed_column_keeps_its_id(tables: IcebergTables, glue: Glue) -> None:
    tables.put(ADDRESS, ORDERS)
    tables.put(ADDRESS, _changed(_field(4, "o_priority", "int")))
    assert _columns(glue)["o_priority"]["id"] == 4
    assert "o_shippriority" not in _columns(glue)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: _changed(_field(2, "o_totalprice", "string")), "o_totalprice is decimal"),
        (lambda: _changed(_field(2, "o_totalprice", "decimal(15, 4)")), "o_totalprice"),
        (lambda: _changed(_field(5, "o_new", required=True)), "new and required"),
        (lambda: _changed(_field(20, "_extra", "string")), "_extra is map"),
        (
            lambda: _changed(_field(10, "_reasons", {**REASONS, "element": {"type": "struct", "fields": [_field(12, "code", "int")]}})),
            "_reasons.element.code",
        ),
        (
            lambda: replace(
                ORDERS, fields=tuple(field if field["id"] != 4 else _field(44, "o_shippriority", "int") for field in ORDERS.fields)
            ),
            "restore the lock file",
        ),
        (lambda: replace(ORDERS, properties={**ORDERS.properties, "format-version": "3"}), "one-way"),
        (lambda: replace(ORDERS, partition=(replace(ORDERS.partition[0], transform="day"),)), "never gives an id twice"),
    ],
)
def test_a_change_that_would_break_what_the_table_holds_is_refused(tables: IcebergTables, glue: Glue, change: Any, words: str) -> None:
    tables.put(ADDRESS, ORDERS)
    before = _metadata(glue)
    with pytest.raises(IncompatibleChangeError, match=words):
        tables.put(ADDRESS, change())
    assert _metadata(glue) == before


def test_partitions_and_order_evolve_and_go_back_to_the_ids_they_had(tables: IcebergTables, glue: Glue) -> None:
    daily = PartitionField(column="o_orderdate", source_id=3, transform="day", name="o_orderdate_day", field_id=1001)
    tables.put(ADDRESS, ORDERS)
    changed = replace(ORDERS, partition=(daily,), sort=())
    assert tables.put(ADDRESS, changed) == "evolved"
    assert (_metadata(glue)["default-spec-id"], _metadata(glue)["default-sort-order-id"]) == (1, 0)
    assert tables.put(ADDRESS, ORDERS) == "evolved"
    assert (_metadata(glue)["default-spec-id"], _metadata(glue)["default-sort-order-id"]) == (0, 1)
    assert _metadata(glue)["current-schema-id"] == 0


def test_a_job_that_commits_meanwhile_makes_us_plan_anew(tables: IcebergTables, glue: Glue) -> None:
    tables.put(ADDRESS, ORDERS)
    glue.conflicts = 3
    assert tables.put(ADDRESS, _changed(_field(5, "o_comment"))) == "evolved"
    glue.conflicts = 9
    with pytest.raises(ConcurrentModificationException):
        tables.put(ADDRESS, _changed(_field(6, "o_more")))


def test_what_is_not_ours_is_left_alone(tables: IcebergTables, glue: Glue) -> None:
    glue.tables[ADDRESS.database, ADDRESS.table] = {"Name": "orders", "Parameters": {"classification": "csv"}}
    with pytest.raises(ForeignTableError, match="no Iceberg table"):
        tables.put(ADDRESS, ORDERS)
    assert not tables.drop(ADDRESS, contract_id="tpch.orders")
    glue.tables.clear()
    tables.put(ADDRESS, replace(ORDERS, contract_id="other.orders"))
    with pytest.raises(ForeignTableError, match=r"follows from contract other\.orders"):
        tables.put(ADDRESS, ORDERS)
    assert not tables.drop(ADDRESS, contract_id="tpch.orders")
    assert glue.tables


def test_a_table_is_not_moved(tables: IcebergTables) -> None:
    tables.put(ADDRESS, ORDERS)
    with pytest.raises(ForeignTableError, match="moving data is not a deployment"):
        tables.put(replace(ADDRESS, location=f"s3://{RAW}/elsewhere"), ORDERS)


def _event(
    action: str, *, physical_id: str | None = None, on_delete: str = "keep", definition: TableDefinition = ORDERS, **more: Any
) -> dict[str, Any]:
    return {
        "RequestType": action,
        "ResponseURL": "https://localhost/",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Table",
        **({"PhysicalResourceId": physical_id} if physical_id else {}),
        "ResourceProperties": {
            "ServiceToken": "arn",
            "Database": ADDRESS.database,
            "Table": ADDRESS.table,
            "Location": ADDRESS.location,
            "Definition": definition.to_json(),
            "OnDelete": on_delete,
            **more,
        },
    }


def test_a_stack_made_anew_adopts_the_table_that_was_kept(tables: IcebergTables, glue: Glue) -> None:
    first = answer_to(TableRequest.from_event(_event("Create")), tables)
    assert (first.physical_id, first.data["Outcome"]) == ("silver_tpch.orders", "created")
    answer_to(TableRequest.from_event(_event("Delete", physical_id=first.physical_id)), tables)
    assert glue.tables
    again = answer_to(TableRequest.from_event(_event("Create", definition=_changed(_field(5, "o_comment")))), tables)
    assert (again.physical_id, again.data["Outcome"]) == (first.physical_id, "evolved")


def test_a_table_leaves_the_catalog_only_if_the_resource_says_so(tables: IcebergTables, glue: Glue) -> None:
    answer_to(TableRequest.from_event(_event("Create")), tables)
    for _ in range(2):
        answer_to(TableRequest.from_event(_event("Delete", physical_id="silver_tpch.orders", on_delete="drop")), tables)
        assert glue.tables == {}


def test_rolling_back_a_refused_table_does_not_drop_the_one_that_was_in_its_way(tables: IcebergTables, glue: Glue) -> None:
    tables.put(ADDRESS, ORDERS)
    refused = _event("Create", on_delete="drop")
    rollback = _event("Delete", on_delete="drop", physical_id=id_after_failure(refused))
    assert answer_to(TableRequest.from_event(rollback), tables).physical_id.endswith(FAILED_SUFFIX)
    assert glue.tables


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"Database": ""}, "lacks Database"),
        ({"OnDelete": "maybe"}, "OnDelete must be one of keep, drop"),
        ({"Definition": "{}"}, "deploy functions"),
    ],
)
def test_malformed_properties_say_what_is_wrong(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words):
        TableRequest.from_event(_event("Create", **more))


class _CloudFormation(HTTPServer):
    """Takes the answers, and fails the first ones if asked to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers: list[dict[str, Any]] = []
        self.failures = 0


class _Answers(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        cloudformation = self.server
        assert isinstance(cloudformation, _CloudFormation)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert not self.headers["Content-Type"]
        if cloudformation.failures:
            cloudformation.failures -= 1
            self.send_error(503)
            return
        cloudformation.answers.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def cloudformation() -> Iterator[_CloudFormation]:
    server = _CloudFormation()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class _Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "x"
    log_stream_name = "stream"

    def __init__(self, milliseconds: int = 60_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


def _handle(
    monkeypatch: pytest.MonkeyPatch, server: _CloudFormation, tables: Any, event: dict[str, Any], milliseconds: int = 60_000
) -> None:
    module.tables.cache_clear()
    monkeypatch.setattr(module, "client", lambda _: None)
    monkeypatch.setattr(module, "IcebergTables", lambda **_: tables)
    url = f"http://127.0.0.1:{server.server_port}/answer"
    module.handler({**event, "ResponseURL": url}, _Context(milliseconds))  # type: ignore[arg-type]


def test_cloudformation_hears_of_success(monkeypatch: pytest.MonkeyPatch, cloudformation: _CloudFormation, tables: IcebergTables) -> None:
    cloudformation.failures = 2
    _handle(monkeypatch, cloudformation, tables, _event("Create"))
    (answer,) = cloudformation.answers
    assert (answer["Status"], answer["PhysicalResourceId"], answer["Data"]["Outcome"]) == ("SUCCESS", "silver_tpch.orders", "created")
    assert (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]) == ("stack", "request", "Table")


def test_cloudformation_hears_of_failure_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, cloudformation: _CloudFormation, tables: IcebergTables, glue: Glue
) -> None:
    glue.tables[ADDRESS.database, ADDRESS.table] = {"Name": "orders", "Parameters": {}}
    _handle(monkeypatch, cloudformation, tables, _event("Create"))
    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert "ForeignTableError: table silver_tpch.orders exists and is no Iceberg table" in answer["Reason"]
    assert answer["PhysicalResourceId"] == f"silver_tpch.orders{FAILED_SUFFIX}"


def test_cloudformation_hears_of_failure_before_the_time_is_over_and_once_only(
    monkeypatch: pytest.MonkeyPatch, cloudformation: _CloudFormation, tables: IcebergTables
) -> None:
    class Slow:
        def put(self, *args: Any) -> str:
            threading.Event().wait(0.3)
            return tables.put(*args)

    _handle(monkeypatch, cloudformation, Slow(), _event("Update", physical_id="silver_tpch.orders"), milliseconds=5_100)
    (answer,) = cloudformation.answers
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "silver_tpch.orders")
    assert "ran out of time" in answer["Reason"]


_PRIMITIVES = st.sampled_from(["int", "long", "float", "double", "string", "date", "decimal(9, 2)", "decimal(12, 2)"])


def _structs(types: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    numbers = st.lists(st.integers(1, 8), unique=True, min_size=1, max_size=5)
    return numbers.flatmap(
        lambda ids: st.tuples(*(st.tuples(st.just(id_), types, st.booleans()) for id_ in ids)).map(
            lambda parts: [_field(id_, f"c{id_}", type_, required=required) for id_, type_, required in parts]
        )
    )


@settings(max_examples=150, deadline=None)
@given(current=_structs(_PRIMITIVES), wanted=_structs(_PRIMITIVES))
def test_no_evolution_loses_a_column_or_narrows_a_type_and_each_is_settled_at_once(
    current: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    try:
        evolved = evolved_fields(current, wanted)
    except IncompatibleChangeError:
        return
    before, after = ({field["id"]: field for field in fields} for fields in (current, evolved))
    assert set(after) == {field["id"] for field in [*current, *wanted]}
    assert evolved_fields(evolved, wanted) == evolved
    for id_, field in before.items():
        assert after[id_]["required"] <= field["required"]
        assert evolved_fields([field], [{**after[id_], "required": False}])[0]["type"] == after[id_]["type"]
