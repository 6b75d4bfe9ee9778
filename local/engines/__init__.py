"""Engines behind the local AWS: Spark for Glue, Trino for Athena; each started at first use, each ending with the platform."""
