"""How data comes in: files that land in raw, runs that follow other runs or the clock, and relational databases."""

from constructs_lib.ingestion.connection_reference import ConnectionReference
from constructs_lib.ingestion.database_connection import DatabaseConnection
from constructs_lib.ingestion.file_arrival import AfterPipelines, FileArrival, FilesLanded, OnSchedule
from constructs_lib.ingestion.source_database import DatabaseEngine, SourceDatabase

__all__ = [
    "AfterPipelines",
    "ConnectionReference",
    "DatabaseConnection",
    "DatabaseEngine",
    "FileArrival",
    "FilesLanded",
    "OnSchedule",
    "SourceDatabase",
]
