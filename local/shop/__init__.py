"""The shop: a small database that pipelines read, its first rows, and changes to them; the same rows for everybody."""
