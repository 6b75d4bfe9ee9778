"""Athena: queries that are started once, watched, cancelled when nobody waits, and answered in typed rows."""
