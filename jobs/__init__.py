"""Entry points of Spark jobs: each file is one job."""
