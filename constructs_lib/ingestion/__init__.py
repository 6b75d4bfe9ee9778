"""How data comes in: files that land in raw, and runs that follow other runs."""

from constructs_lib.ingestion.file_arrival import AfterPipelines, FileArrival, FilesLanded

__all__ = ["AfterPipelines", "FileArrival", "FilesLanded"]
