"""The Glue catalog: databases, Iceberg tables, their upkeep, and the Athena workgroup that reads them."""

from constructs_lib.catalog.athena_workgroup import AthenaWorkgroup
from constructs_lib.catalog.catalog_database import CatalogDatabase
from constructs_lib.catalog.eraser import Eraser
from constructs_lib.catalog.federated_connector import FederatedConnector
from constructs_lib.catalog.iceberg_table import IcebergTable
from constructs_lib.catalog.projected_table import DateFolders, ListedFolders, NamedFolders, NumberFolders, ProjectedTable
from constructs_lib.catalog.saved_queries import SavedQueries
from constructs_lib.catalog.table_function import TableFunction
from constructs_lib.catalog.table_grants import CatalogGrants, CatalogTable, DomainGrants
from constructs_lib.catalog.table_optimizers import OptimizerRole, TableOptimizers

__all__ = [
    "AthenaWorkgroup",
    "CatalogDatabase",
    "CatalogGrants",
    "CatalogTable",
    "DateFolders",
    "DomainGrants",
    "Eraser",
    "FederatedConnector",
    "IcebergTable",
    "ListedFolders",
    "NamedFolders",
    "NumberFolders",
    "OptimizerRole",
    "ProjectedTable",
    "SavedQueries",
    "TableFunction",
    "TableOptimizers",
]
