"""Constructs of a lakehouse on AWS: import them from the package of their domain."""
