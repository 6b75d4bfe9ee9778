"""Ends the clusters of runs."""
