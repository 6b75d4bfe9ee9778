"""Compiler of data contracts: authoring time only, never deployed."""
