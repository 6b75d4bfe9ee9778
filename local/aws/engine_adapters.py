"""Adapters whose service is an engine of its own: Spark behind Glue, Trino behind Athena."""

from __future__ import annotations

from local.aws import athena, emr_serverless, glue_iceberg, glue_resources, glue_runs, rds, sfn_emr_serverless, sfn_glue_athena
from local.aws.cloudformation import rds_types

ENGINE_ADAPTERS = (glue_resources, glue_runs, glue_iceberg, athena, emr_serverless, sfn_glue_athena, sfn_emr_serverless, rds, rds_types)
"""They register before the door, which wraps what they have put in place."""
