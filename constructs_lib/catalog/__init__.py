"""The Glue catalog: databases, Iceberg tables, their upkeep, and the Athena workgroup that reads them."""

from constructs_lib.catalog.athena_workgroup import AthenaWorkgroup
from constructs_lib.catalog.catalog_database import CatalogDatabase
from constructs_lib.catalog.iceberg_table import IcebergTable
from constructs_lib.catalog.table_function import TableFunction
from constructs_lib.catalog.table_grants import CatalogGrants, CatalogTable
from constructs_lib.catalog.table_optimizers import OptimizerRole, TableOptimizers

__all__ = [
    "AthenaWorkgroup",
    "CatalogDatabase",
    "CatalogGrants",
    "CatalogTable",
    "IcebergTable",
    "OptimizerRole",
    "TableFunction",
    "TableOptimizers",
]
