"""Measurements of what the platform costs, each against a peer that does the same without it, and with a limit."""
