"""Custom resource: tables, migrations and external schemas of the warehouse."""
