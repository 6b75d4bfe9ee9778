"""Tells people of runs that failed."""
