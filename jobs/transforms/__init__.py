"""Pure functions from tables to tables, one module a domain; a pipeline names them `<domain>.<function>`."""
