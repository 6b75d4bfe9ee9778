"""Tables against pyiceberg: what we write is what Iceberg reads, and a new schema has the ids that Iceberg itself would give."""

from __future__ import annotations

import json

import pytest
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema, assign_fresh_schema_ids
from pyiceberg.table.sorting import SortOrder

from lakehouse.contracts.model import CompiledContract
from lakehouse.contracts.tables import tables_of

IDS = ("sales.customers", "sales.orders", "tpch.customer", "tpch.daily_revenue", "tpch.lineitem", "tpch.orders")


@pytest.mark.parametrize("id_", IDS)
def test_pyiceberg_reads_schema_partition_and_order(contracts: dict[str, CompiledContract], id_: str) -> None:
    contract = contracts[id_]
    for table in tables_of(contract):
        schema = Schema.model_validate_json(json.dumps(table.schema))
        assert [field.name for field in schema.fields] == [field["name"] for field in table.fields]
        assert schema.identifier_field_names() == set(table.identifier_fields)
        spec = PartitionSpec.model_validate_json(json.dumps(table.partition_spec))
        for part in spec.fields:
            source = schema.find_field(part.source_id)
            assert part.transform.can_transform(source.field_type), f"{part} of {source}"
        order = SortOrder.model_validate_json(json.dumps(table.sort_order))
        assert all(schema.find_field(part.source_id) for part in order.fields)


@pytest.mark.parametrize("id_", IDS)
def test_a_first_lock_numbers_columns_as_iceberg_does(contracts: dict[str, CompiledContract], id_: str) -> None:
    contract = contracts[id_]
    fields = [{"id": column.field_id, "name": column.name, "required": column.required, "type": column.type} for column in contract.columns]
    schema = Schema.model_validate_json(json.dumps({"type": "struct", "fields": fields}))
    fresh = assign_fresh_schema_ids(schema)
    assert {name: fresh.find_field(name).field_id for name in fresh.column_names} == {
        name: schema.find_field(name).field_id for name in schema.column_names
    }
