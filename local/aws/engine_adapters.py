"""Adapters whose service is an engine of its own: Spark behind Glue, Trino behind Athena."""

from __future__ import annotations

from local.aws import glue_runs

ENGINE_ADAPTERS = (glue_runs,)
"""They register before the door, which wraps what they have put in place."""
