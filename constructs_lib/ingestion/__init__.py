"""How data comes in: files that land in raw, runs that follow other runs or the clock."""

from constructs_lib.ingestion.file_arrival import AfterPipelines, FileArrival, FilesLanded, OnSchedule

__all__ = ["AfterPipelines", "FileArrival", "FilesLanded", "OnSchedule"]
