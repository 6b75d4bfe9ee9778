"""The warehouse: Redshift, serverless or provisioned, its tables and schema, and the step that loads it."""

from constructs_lib.warehouse.load_step import RedshiftLoadStep
from constructs_lib.warehouse.redshift_cluster import RedshiftCluster, RestHours, UsageLimit
from constructs_lib.warehouse.redshift_serverless import RedshiftServerless
from constructs_lib.warehouse.reference import WarehouseGrants, WarehouseReference
from constructs_lib.warehouse.schema_function import WarehouseSchemaFunction
from constructs_lib.warehouse.serverless_usage_limit import ServerlessUsageLimit
from constructs_lib.warehouse.warehouse_schema import WarehouseSchema
from constructs_lib.warehouse.warehouse_table import WarehouseTableResource

__all__ = [
    "RedshiftCluster",
    "RedshiftLoadStep",
    "RedshiftServerless",
    "RestHours",
    "ServerlessUsageLimit",
    "UsageLimit",
    "WarehouseGrants",
    "WarehouseReference",
    "WarehouseSchema",
    "WarehouseSchemaFunction",
    "WarehouseTableResource",
]
