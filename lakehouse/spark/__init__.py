"""What the jobs do with Spark: read raw files, write Iceberg tables, judge rows; the only package that imports pyspark."""
