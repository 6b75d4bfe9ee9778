"""Redshift's SQL over PostgreSQL: a statement gives Redshift's answer or is refused by name."""
