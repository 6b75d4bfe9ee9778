"""Keeps the audit of runs on behalf of the state machines."""
