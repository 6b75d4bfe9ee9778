"""Creates and evolves Iceberg tables for CloudFormation."""
