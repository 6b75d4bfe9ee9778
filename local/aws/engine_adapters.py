"""Adapters whose service is an engine of its own: Spark behind Glue and EMR, Trino behind Athena, PostgreSQL behind RDS and Redshift."""

from __future__ import annotations

from local.aws import (
    athena,
    emr,
    emr_serverless,
    glue_connections,
    glue_iceberg,
    glue_resources,
    glue_runs,
    rds,
    rds_data,
    redshift,
    redshift_data,
    redshift_serverless,
    sfn_emr,
    sfn_emr_serverless,
    sfn_glue_athena,
    sfn_redshift,
)
from local.aws.cloudformation import emr_types, rds_types, redshift_cluster_types, redshift_types

ENGINE_ADAPTERS = (
    glue_connections, glue_resources, glue_runs, glue_iceberg, athena, emr, emr_serverless, redshift_serverless, redshift, redshift_data,
    redshift_types, redshift_cluster_types, sfn_glue_athena, sfn_emr, sfn_emr_serverless, sfn_redshift, rds, rds_data, rds_types, emr_types,
)  # fmt: skip
"""They register before the door, which wraps what they have put in place."""
