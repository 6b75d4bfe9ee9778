"""Starts runs for files that arrive, for upstream runs that succeed, or at the times of a schedule."""
