"""The table of a group's row: made at its first run from what the source has, widened when the source gains columns, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from lakehouse.contracts.tables import PLATFORM_COLUMNS, TableDefinition
from lakehouse.errors import RunFailed
from lakehouse.extraction.described import check_owner, comment, new_columns
from lakehouse.extraction.postgresql import SourceColumn
from lakehouse.naming import CATALOG
from lakehouse.rows import ROW_INVALID
from lakehouse.spark.iceberg import IcebergTable


def row_table(
    spark: SparkSession, definition: TableDefinition, *, name: str, columns: Sequence[SourceColumn], owner: str, uri: str
) -> IcebergTable:
    """The table of a row, ready for what the source has now.

    Args:
        spark: Session with the catalog.
        definition: What it is made as, if it is not there.
        name: `<database>.<table>`.
        columns: Columns of the source table.
        owner: The row, `<group>.<row>`.
        uri: The source, for messages.

    Raises:
        RunFailed: Such a table exists and is not the row's, or the source has changed in a way that it cannot follow.
    """
    jvm: Any = spark.sparkContext._jvm  # pyright: ignore[reportPrivateUsage]
    iceberg = jvm.org.apache.iceberg
    catalog = iceberg.spark.Spark3Util.loadIcebergCatalog(spark._jsparkSession, CATALOG)  # pyright: ignore[reportPrivateUsage]
    identifier = iceberg.catalog.TableIdentifier.parse(name)
    if not catalog.tableExists(identifier):
        schema = iceberg.SchemaParser.fromJson(json.dumps(definition.schema))
        partition = iceberg.PartitionSpecParser.fromJson(schema, json.dumps(definition.partition_spec))
        try:
            # Without a location: that of the database, in which the job may write.
            catalog.createTable(identifier, schema, partition, definition.properties)
        except Py4JJavaError as error:
            if "AlreadyExistsException" not in error.java_exception.getClass().getName():
                raise
            # Iceberg does not see it, and yet it is there.
            raise RunFailed(
                ROW_INVALID, f"target: {name} exists and is no Iceberg table: give the row {owner} a target of its own"
            ) from error
        return IcebergTable(spark, name)
    table = catalog.loadTable(identifier)
    properties = table.properties()
    check_owner({str(key): str(properties[key]) for key in properties}, table=name, owner=owner)
    held = {
        str(field.name()): None if field.doc() is None else str(field.doc())
        for field in table.schema().columns()
        if str(field.name()) not in PLATFORM_COLUMNS
    }
    added = new_columns(held, columns, table=name, uri=uri)
    if added:
        change = table.updateSchema()
        text = jvm.org.apache.iceberg.types.Types.StringType.get()
        for column in added:
            change = change.addColumn(column.name, text, comment(column))
        change.commit()
    return IcebergTable(spark, name)
