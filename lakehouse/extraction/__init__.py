"""Extraction from relational databases: what is read, how it is split and how far it got; no Spark, no connection."""
