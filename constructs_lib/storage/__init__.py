"""Buckets of the lake and how long they keep things."""

from constructs_lib.storage.data_lake import DataLake, LakeBuckets
from constructs_lib.storage.lifecycle import STORAGE_CLASSES, RawLifecycle, Transition
from constructs_lib.storage.outside_reader import OutsideReader

__all__ = ["STORAGE_CLASSES", "DataLake", "LakeBuckets", "OutsideReader", "RawLifecycle", "Transition"]
