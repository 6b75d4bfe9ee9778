"""Adapters whose service is an engine of its own: Spark behind Glue, Trino behind Athena."""

from __future__ import annotations

from local.aws import athena, glue_iceberg, glue_resources, glue_runs, sfn_glue_athena

ENGINE_ADAPTERS = (glue_resources, glue_runs, glue_iceberg, athena, sfn_glue_athena)
"""They register before the door, which wraps what they have put in place."""
