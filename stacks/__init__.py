"""Stacks of the platform: they compose constructs and hold no resource detail."""
