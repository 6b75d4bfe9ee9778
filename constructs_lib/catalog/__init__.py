"""The Glue catalog: databases, Iceberg tables, their upkeep, and the Athena workgroup that reads them."""

from constructs_lib.catalog.athena_workgroup import AthenaWorkgroup
from constructs_lib.catalog.catalog_database import CatalogDatabase
from constructs_lib.catalog.classifiers import Classifier, CsvClassifier, GrokClassifier, JsonClassifier, XmlClassifier
from constructs_lib.catalog.crawl_targets import EventQueue, JdbcTarget, S3Target
from constructs_lib.catalog.crawled_database import CrawledDatabase
from constructs_lib.catalog.data_quality_ruleset import DataQualityRuleset
from constructs_lib.catalog.eraser import Eraser
from constructs_lib.catalog.federated_connector import FederatedConnector
from constructs_lib.catalog.glue_crawler import GlueCrawler
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
    "Classifier",
    "CrawledDatabase",
    "CsvClassifier",
    "DataQualityRuleset",
    "DateFolders",
    "DomainGrants",
    "Eraser",
    "EventQueue",
    "FederatedConnector",
    "GlueCrawler",
    "GrokClassifier",
    "IcebergTable",
    "JdbcTarget",
    "JsonClassifier",
    "ListedFolders",
    "NamedFolders",
    "NumberFolders",
    "OptimizerRole",
    "ProjectedTable",
    "S3Target",
    "SavedQueries",
    "TableFunction",
    "TableOptimizers",
    "XmlClassifier",
]
