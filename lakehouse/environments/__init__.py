"""Environments: config/base.yaml and config/<env>.yaml, layered, validated and frozen."""
