"""The warehouse: Redshift Serverless, its tables and schema, and the step that loads it."""

from constructs_lib.warehouse.load_step import RedshiftLoadStep
from constructs_lib.warehouse.redshift_serverless import RedshiftServerless, RedshiftServerlessGrants
from constructs_lib.warehouse.schema_function import WarehouseSchemaFunction
from constructs_lib.warehouse.warehouse_schema import WarehouseSchema
from constructs_lib.warehouse.warehouse_table import WarehouseTableResource

__all__ = [
    "RedshiftLoadStep",
    "RedshiftServerless",
    "RedshiftServerlessGrants",
    "WarehouseSchema",
    "WarehouseSchemaFunction",
    "WarehouseTableResource",
]
