"""Starts runs for files that arrive, or for upstream runs that succeed."""
